//! What a query comes to: series with labels and values, whatever its type.

use serde_json::Value;

/// One series.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Series {
    pub(crate) labels: Vec<(String, String)>,
    /// Times in seconds, and values.
    pub(crate) values: Vec<(f64, f64)>,
}

const SPARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// How many marks the course of a series has at most.
const COURSE: usize = 24;

impl Series {
    /// All series of an answer.
    pub(crate) fn all(data: &Value) -> Vec<Self> {
        match data["resultType"].as_str() {
            Some("scalar" | "string") => pair(&data["result"])
                .map(|pair| Self { labels: Vec::new(), values: vec![pair] })
                .into_iter()
                .collect(),
            _ => data["result"].as_array().into_iter().flatten().map(Self::one).collect(),
        }
    }

    fn one(result: &Value) -> Self {
        let labels = result["metric"].as_object().into_iter().flatten();
        let labels =
            labels.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
        let values = match &result["values"] {
            Value::Array(values) => values.iter().filter_map(pair).collect(),
            _ => pair(&result["value"]).into_iter().collect(),
        };
        Self { labels: labels.collect(), values }
    }

    /// The names of the labels that any of them has, in the order in which they come.
    pub(crate) fn labels(series: &[Self]) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (name, _) in series.iter().flat_map(|series| &series.labels) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn last(&self) -> Option<f64> {
        self.values.last().map(|(_, value)| *value)
    }

    /// The least and the most of its values.
    pub(crate) fn extent(&self) -> (f64, f64) {
        self.values
            .iter()
            .map(|(_, value)| *value)
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| {
                (least.min(value), most.max(value))
            })
    }

    /// Its course in one line: each mark the most of its part of the time.
    pub(crate) fn sparks(&self) -> String {
        let (least, most) = self.extent();
        let part = self.values.len().div_ceil(COURSE).max(1);
        let mark = |values: &[(f64, f64)]| {
            let value = values.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
            if !value.is_finite() {
                return ' ';
            }
            let height = if most > least { (value - least) / (most - least) } else { 0.0 };
            SPARKS[((height * 7.0).round() as usize).min(7)]
        };
        self.values.chunks(part).map(mark).collect()
    }
}

fn pair(pair: &Value) -> Option<(f64, f64)> {
    Some((pair[0].as_f64()?, pair[1].as_str()?.parse().ok()?))
}

/// A value, with as many digits as tell something.
pub(crate) fn shown(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "NaN".to_owned()
        } else {
            if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
        };
    }
    let size = value.abs();
    if value.fract() == 0.0 && size < 1e15 {
        format!("{value:.0}")
    } else if size >= 1000.0 {
        format!("{value:.1}")
    } else if size >= 1.0 {
        format!("{value:.3}")
    } else if size >= 0.0001 {
        format!("{value:.6}")
    } else {
        format!("{value:.3e}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_of_all_types_are_series() {
        let scalar = Series::all(&json!({"resultType": "scalar", "result": [7, "2.5"]}));
        assert_eq!(scalar, [Series { labels: Vec::new(), values: vec![(7.0, 2.5)] }]);
        let matrix = json!({"resultType": "matrix", "result": [{"metric": {"a": "x"}, "values": [[1, "1"], [2, "NaN"], [3, "8"]]}]});
        let series = Series::all(&matrix);
        assert_eq!(series[0].label("a"), Some("x"));
        assert_eq!((series[0].extent(), series[0].sparks().as_str()), ((1.0, 8.0), "▁ █"));
    }

    #[test]
    fn values_have_the_digits_that_tell_something() {
        let all = [3.0, 1234.5678, 7.14159, 0.001234567, 1.5e-9, f64::INFINITY].map(shown);
        assert_eq!(all, ["3", "1234.6", "7.142", "0.001235", "1.500e-9", "+Inf"]);
    }
}
