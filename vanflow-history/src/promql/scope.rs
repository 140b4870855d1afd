//! Queries of one network alone, where a Prometheus has the metrics of several.
//!
//! Each selector of a query is given the label of the network before anybody evaluates it. What would reach beyond is
//! refused, and not mended: a query that names another network is a mistake that its author should learn of.

use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use promql_parser::{
    label::{METRIC_NAME, MatchOp, Matcher, Matchers},
    parser::{Expr, VectorSelector},
};

use super::{
    error::QueryError,
    json::error_body,
    parameters::Parameters,
    parse::{parse, selector},
    respond::QueryKind,
};

/// The label that says which network a series is of.
pub const NETWORK_LABEL: &str = "network_id";

/// What queries may ask about.
#[derive(Clone, Debug)]
pub struct Scope {
    /// What [`NETWORK_LABEL`] is on all series that may be asked for.
    pub network: String,
    /// Whether there is a metric whose series have that name.
    pub is_series: fn(&str) -> bool,
}

/// A query that is not evaluated, since it is none or goes beyond its [`Scope`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// 400, or 403 where the query makes sense.
    pub status: StatusCode,
    /// Why, in the JSON that Prometheus writes of errors.
    pub body: Vec<u8>,
}

impl Scope {
    /// The parameters of a request, with all selectors in them within the scope: a query string, or a form that takes
    /// the place of both.
    ///
    /// Of a query, each selector has to name one metric, and neither another network nor all but one. A question about
    /// labels or series needs no name.
    ///
    /// # Errors
    ///
    /// 400 for a query that cannot be read, or where there is none or more than one; 403 for one that goes beyond.
    pub fn apply(&self, kind: QueryKind<'_>, query: Option<&str>, form: &str) -> Result<String, Refusal> {
        let parameters = Parameters::of(query.unwrap_or(""), form);
        self.scoped(kind, &parameters).map_err(|problem| match problem {
            Problem::Unreadable(error) => {
                Refusal { status: error.status(), body: error_body(error.kind(), &error.to_string()) }
            }
            Problem::Beyond(text) => {
                Refusal { status: StatusCode::FORBIDDEN, body: error_body("forbidden", &text) }
            }
        })
    }

    fn scoped(&self, kind: QueryKind<'_>, parameters: &Parameters) -> Result<String, Problem> {
        let name = match kind {
            QueryKind::Instant | QueryKind::Range => "query",
            QueryKind::Labels | QueryKind::LabelValues(_) | QueryKind::Series => "match[]",
        };
        let asked: Vec<_> = parameters.values(name).collect();
        let scoped: Vec<String> = if name == "query" {
            let [query] = asked[..] else {
                let text = format!("there has to be one query, and there are {}", asked.len());
                return Err(QueryError::BadData(text).into());
            };
            vec![self.query(query)?]
        } else if asked.is_empty() && !matches!(kind, QueryKind::Series) {
            vec![format!("{{{}}}", Matchers::one(self.matcher()))]
        } else {
            asked.iter().map(|text| self.series(text)).collect::<Result<_, _>>()?
        };
        let others = parameters.all().filter(|(other, _)| *other != name);
        let pairs = others.chain(scoped.iter().map(|text| (name, text.as_str())));
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        Ok(pairs
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect::<Vec<_>>()
            .join("&"))
    }

    fn query(&self, text: &str) -> Result<String, Problem> {
        let mut expression = parse(text)?;
        self.narrow(&mut expression)?;
        self.written(&expression)
    }

    fn series(&self, text: &str) -> Result<String, Problem> {
        let mut selector = selector(text)?;
        self.add(&mut selector)?;
        let text = selector.to_string();
        let again = self::selector(&text)?;
        if again == selector { Ok(text) } else { Err(unclear()) }
    }

    /// An expression as text. The library that writes it reads it as well: that what it reads is within the scope keeps
    /// the series of others out, whatever it is that was written.
    fn written(&self, expression: &Expr) -> Result<String, Problem> {
        let text = expression.to_string();
        let again = parse(&text)?;
        let mut narrowed = again.clone();
        self.narrow(&mut narrowed)?;
        if narrowed == again && again.to_string() == text { Ok(text) } else { Err(unclear()) }
    }

    /// Brings each selector of an expression into the scope.
    fn narrow(&self, expression: &mut Expr) -> Result<(), Problem> {
        match expression {
            Expr::VectorSelector(selector) => self.named(selector),
            Expr::MatrixSelector(selector) => self.named(&mut selector.vs),
            Expr::Subquery(subquery) => self.narrow(&mut subquery.expr),
            Expr::Paren(inner) => self.narrow(&mut inner.expr),
            Expr::Unary(inner) => self.narrow(&mut inner.expr),
            Expr::Binary(operation) => {
                self.narrow(&mut operation.lhs)?;
                self.narrow(&mut operation.rhs)
            }
            Expr::Aggregate(aggregate) => {
                aggregate.param.iter_mut().try_for_each(|parameter| self.narrow(parameter))?;
                self.narrow(&mut aggregate.expr)
            }
            // It adds the labels of series that the query does not name.
            Expr::Call(call) if call.func.name == "info" => Err(Problem::Beyond(
                "info() is not possible here: it would reach beyond this network".to_owned(),
            )),
            Expr::Call(call) => call.args.args.iter_mut().try_for_each(|argument| self.narrow(argument)),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Ok(()),
            Expr::Extension(_) => Err(QueryError::unsupported("this expression").into()),
        }
    }

    /// A selector in a query: it has to say by name which of the collector's metrics it is about.
    fn named(&self, selector: &mut VectorSelector) -> Result<(), Problem> {
        let exact = |matcher: &&Matcher| matcher.name == METRIC_NAME && matcher.op == MatchOp::Equal;
        let of_matchers = selector.matchers.matchers.iter().find(exact).map(|matcher| matcher.value.as_str());
        match selector.name.as_deref().or(of_matchers) {
            Some(name) if (self.is_series)(name) => self.add(selector),
            Some(name) => Err(Problem::Beyond(format!(
                "{name:?} is no metric of this collector, and nothing else may be asked for here"
            ))),
            None => Err(Problem::Beyond(format!(
                "{selector} has to name a metric of this collector, as in skupper_requests_total"
            ))),
        }
    }

    /// Adds the label of the network to a selector.
    fn add(&self, selector: &mut VectorSelector) -> Result<(), Problem> {
        if !selector.matchers.or_matchers.is_empty() {
            return Err(QueryError::unsupported("or between matchers").into());
        }
        let matchers = &mut selector.matchers.matchers;
        let own = self.matcher();
        if let Some(other) = matchers.iter().find(|matcher| matcher.name == NETWORK_LABEL && **matcher != own)
        {
            return Err(Problem::Beyond(format!("{other} is not possible here, only {own}")));
        }
        if !matchers.contains(&own) {
            matchers.push(own);
        }
        // In the order in which they are written.
        matchers.sort_by_cached_key(ToString::to_string);
        Ok(())
    }

    fn matcher(&self) -> Matcher {
        Matcher::new(MatchOp::Equal, NETWORK_LABEL, &self.network)
    }
}

fn unclear() -> Problem {
    QueryError::unsupported("a query that reads otherwise once it is written anew").into()
}

enum Problem {
    Unreadable(QueryError),
    Beyond(String),
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        Self::Unreadable(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        let is_series = |name: &str| name.starts_with("skupper_") || name.starts_with("vanflow_");
        Scope { network: "west \"1\"".to_owned(), is_series }
    }

    fn applied(kind: QueryKind<'_>, query: &str) -> Result<Vec<String>, (u16, String)> {
        match scope().apply(kind, Some(query), "") {
            Ok(query) => {
                let parameters = Parameters::of(&query, "");
                Ok(parameters.all().map(|(name, value)| format!("{name}={value}")).collect())
            }
            Err(refusal) => {
                let json: serde_json::Value = serde_json::from_slice(&refusal.body).expect("JSON");
                Err((refusal.status.as_u16(), json["error"].as_str().expect("a text").to_owned()))
            }
        }
    }

    fn query(text: &str) -> Result<String, (u16, String)> {
        let encoded = utf8_percent_encode(text, NON_ALPHANUMERIC);
        let answer = applied(QueryKind::Instant, &format!("time=1&query={encoded}"))?;
        assert_eq!(answer[0], "time=1");
        Ok(answer[1].strip_prefix("query=").expect("a query").to_owned())
    }

    const OWN: &str = r#"network_id="west \"1\"""#;

    #[test]
    fn each_selector_is_given_the_network() {
        for (asked, given) in [
            ("skupper_a", format!("skupper_a{{{OWN}}}")),
            (r#"{__name__="skupper_a"}"#, format!(r#"{{__name__="skupper_a",{OWN}}}"#)),
            (r#"skupper_a{b=~"c.*\\d"}"#, format!(r#"skupper_a{{b=~"c.*\\d",{OWN}}}"#)),
            (&format!("skupper_a{{{OWN}}}"), format!("skupper_a{{{OWN}}}")),
            ("rate(skupper_a[5m])", format!("rate(skupper_a{{{OWN}}}[5m])")),
            (
                "topk(scalar(skupper_n), sum by (b) (increase(skupper_a[1m] offset 5m)))",
                format!(
                    "topk(scalar(skupper_n{{{OWN}}}), sum by (b) (increase(skupper_a{{{OWN}}}[1m] offset 5m)))"
                ),
            ),
            (
                "max_over_time((-skupper_a / vanflow_b)[1h:1m] @ 7)",
                format!("max_over_time((-skupper_a{{{OWN}}} / vanflow_b{{{OWN}}})[1h:1m] @ 7.000)"),
            ),
            ("vector(1)", "vector(1)".to_owned()),
        ] {
            assert_eq!(query(asked).as_deref(), Ok(given.as_str()), "{asked}");
        }
    }

    #[test]
    fn what_reaches_beyond_the_network_is_refused() {
        let beyond = |text: &str| match query(text) {
            Err((403, why)) => why,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(
            beyond("sum(node_cpu_seconds_total)"),
            "\"node_cpu_seconds_total\" is no metric of this collector, and nothing else may be asked for here"
        );
        assert_eq!(
            beyond(r#"{__name__=~"skupper_.*"}"#),
            "{__name__=~\"skupper_.*\"} has to name a metric of this collector, as in skupper_requests_total"
        );
        assert_eq!(
            beyond(r#"skupper_a{network_id="east"}"#),
            r#"network_id="east" is not possible here, only network_id="west \"1\"""#
        );
        for matcher in [r#"network_id!="east""#, r#"network_id=~".*""#, r#"network_id!~"a""#] {
            assert!(beyond(&format!("skupper_a{{{matcher}}}")).starts_with(matcher), "{matcher}");
        }
        assert!(beyond("topk(scalar(other), skupper_a)").starts_with("\"other\""));
    }

    #[test]
    fn what_is_no_query_is_refused_as_such() {
        assert_eq!(
            query("sum("),
            Err((400, "invalid parameter \"query\": parse error: unclosed left parenthesis".to_owned()))
        );
        assert_eq!(
            applied(QueryKind::Instant, "query=skupper_a&query=other"),
            Err((400, "there has to be one query, and there are 2".to_owned()))
        );
        assert_eq!(
            applied(QueryKind::Range, "start=1"),
            Err((400, "there has to be one query, and there are 0".to_owned()))
        );
        let (status, why) = query(r#"skupper_a{a="b" or c="d"}"#).unwrap_err();
        assert_eq!((status, why.contains("or between matchers is not supported here")), (400, true), "{why}");
    }

    #[test]
    fn labels_and_series_are_those_of_the_network() {
        let own = || Ok(vec![format!("match[]={{{OWN}}}")]);
        assert_eq!(applied(QueryKind::Labels, ""), own());
        assert_eq!(applied(QueryKind::LabelValues("a"), ""), own());
        assert_eq!(
            applied(QueryKind::Series, "match[]=%7Ba%3D%22b%22%7D&end=9&match[]=skupper_a"),
            Ok(vec![
                "end=9".to_owned(),
                format!("match[]={{a=\"b\",{OWN}}}"),
                format!("match[]=skupper_a{{{OWN}}}")
            ])
        );
        // It is for whoever answers to say that there has to be one.
        assert_eq!(applied(QueryKind::Series, "end=9"), Ok(vec!["end=9".to_owned()]));
        assert_eq!(applied(QueryKind::Labels, "match[]=sum(a)").unwrap_err().0, 400);
        assert_eq!(applied(QueryKind::Labels, "match[]=a%7Bnetwork_id!%3D%22x%22%7D").unwrap_err().0, 403);
    }
}
