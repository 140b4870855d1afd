//! What a scrape sees, and how it is written.
//!
//! The official client library writes the OpenMetrics format. The older text format, which tools without OpenMetrics
//! take, is derived from that: the two differ in what they say about a metric, and in how bounds are written.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, btree_map},
    fmt,
    hash::BuildHasherDefault,
    ops::Range,
    sync::Arc,
    vec,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet, text},
    metrics::MetricType,
    registry::Registry,
};

use vanflow_history::{Scrape, SeriesRef};

use crate::{
    body::{CHUNK, Progress, Render},
    json::Json,
    metrics::{
        labels::{LabelSet, LabelSetHasher, unescaped},
        table::{Form, Name},
    },
};

/// All samples of one moment.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    samples: BTreeMap<Name, Vec<Sample>>,
    excluded: BTreeSet<Name>,
    /// Of histograms with very many bounds, those that are exposed; of others all are.
    exposed: BTreeMap<Name, Range<usize>>,
}

/// As many bounds as there are.
pub(crate) const ALL_BOUNDS: Range<usize> = 0..usize::MAX;

/// Whether a count of a histogram is exposed where these bounds are: one at them, and the one above all `bounds`.
fn is_exposed(exposed: &Range<usize>, position: usize, bounds: usize) -> bool {
    exposed.contains(&position) || position == bounds
}

/// One label set and its value.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) labels: LabelSet,
    pub(crate) value: SampleValue,
    /// Whether scrapers have to see 0 before they see the value.
    pub(crate) is_new: bool,
    /// Whether it was 0 when it began.
    pub(crate) is_born: bool,
    /// Of a histogram, the bounds that were exposed when it began. What is exposed later was not 0 before.
    pub(crate) born_bounds: Range<usize>,
}

/// What is counted or measured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SampleValue {
    Count(u64),
    Level(f64),
    Histogram(Arc<Histogram>),
}

/// Observations by the bounds of their metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Histogram {
    /// How many there were up to each bound and above the one before, and last those above all.
    pub(crate) counts: Vec<u64>,
    pub(crate) sum: f64,
}

impl Histogram {
    pub(crate) fn new(bounds: &[f64]) -> Self {
        Self { counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// Adds what was observed by a former process.
    pub(crate) fn restore(&mut self, (counts, sum): &(Vec<u64>, f64)) {
        self.counts.iter_mut().zip(counts).for_each(|(count, saved)| *count += saved);
        self.sum += sum;
    }

    pub(crate) fn observe(&mut self, bounds: &[f64], value: f64) {
        let place = bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len());
        self.counts[place] += 1;
        self.sum += value;
    }

    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// The formats there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExpositionFormat {
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// The text format of Prometheus, 0.0.4.
    Text,
}

impl ExpositionFormat {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

impl Gathered {
    /// Nothing yet; of these metrics nothing will be taken.
    pub(crate) fn without(excluded: &BTreeSet<Name>) -> Self {
        Self { excluded: excluded.clone(), ..Self::default() }
    }

    pub(crate) fn add(&mut self, name: Name, labels: LabelSet, value: SampleValue) {
        self.push(name, Sample { labels, value, is_new: false, is_born: false, born_bounds: ALL_BOUNDS });
    }

    pub(crate) fn push(&mut self, name: Name, sample: Sample) {
        if !self.excluded.contains(&name) {
            self.samples.entry(name).or_default().push(sample);
        }
    }

    /// Has only these bounds of a histogram exposed, and the one above all.
    pub(crate) fn expose(&mut self, name: Name, bounds: Range<usize>) {
        self.exposed.insert(name, bounds);
    }

    /// Feeds everything to a history: values as they are now, and whether it is certain that they were 0 before somebody
    /// first asked. What nobody charts is left out.
    pub(crate) fn feed(&self, scrape: &mut Scrape<'_>, fed: &mut Fed) {
        fed.scrape = fed.scrape.wrapping_add(1);
        for (name, samples) in self.samples.iter().filter(|(name, _)| **name != Name::InternalLatency) {
            let metric = name.metric();
            let [sum, count, bucket] =
                ["sum", "count", "bucket"].map(|part| format!("{}_{part}", metric.name));
            let bounds = match metric.form {
                Form::Histogram(bounds) => bounds_in_text(bounds),
                Form::Counter | Form::Gauge => Vec::new(),
            };
            let exposed = self.exposed.get(name).unwrap_or(&ALL_BOUNDS);
            let by_labels = fed.by_labels.entry(*name).or_default();
            for sample in samples {
                let mut feeding = Feeding::of(sample, fed.scrape, by_labels, scrape);
                let born = sample.is_born;
                match &sample.value {
                    SampleValue::Count(value) => feeding.put(0, metric.name, None, *value as f64, born),
                    SampleValue::Level(value) => feeding.put(0, metric.name, None, *value, born),
                    SampleValue::Histogram(histogram) => {
                        feeding.put(0, &sum, None, histogram.sum, born);
                        feeding.put(1, &count, None, histogram.count() as f64, born);
                        let mut so_far = 0;
                        for (position, (bound, count)) in bounds.iter().zip(&histogram.counts).enumerate() {
                            so_far += count;
                            if is_exposed(exposed, position, bounds.len() - 1) {
                                let born =
                                    born && is_exposed(&sample.born_bounds, position, bounds.len() - 1);
                                feeding.put(2 + position, &bucket, Some(bound), so_far as f64, born);
                            }
                        }
                    }
                }
            }
        }
        for by_labels in fed.by_labels.values_mut() {
            by_labels.retain(|_, known| known.scrape == fed.scrape);
        }
    }

    /// Everything, to be written in that format.
    pub(crate) fn expose_as(self, format: ExpositionFormat) -> Exposition {
        let Self { samples, exposed, .. } = self;
        Exposition { format, metrics: samples.into_iter(), exposed, metric: None, scratch: String::new() }
    }
}

/// All samples of one moment, while they are written: what is kept for a slow reader is what was gathered, and a piece
/// of what is written of it.
#[derive(Debug)]
pub(crate) struct Exposition {
    format: ExpositionFormat,
    metrics: btree_map::IntoIter<Name, Vec<Sample>>,
    exposed: BTreeMap<Name, Range<usize>>,
    /// The one that is being written.
    metric: Option<Exposed>,
    scratch: String,
}

/// A metric and those of its samples that are left to write.
#[derive(Debug)]
struct Exposed {
    name: Name,
    exposed: Range<usize>,
    /// Of a histogram in the text format, the bounds that are exposed.
    bounds: Vec<String>,
    left: vec::IntoIter<Sample>,
    is_begun: bool,
}

impl Exposed {
    fn new(name: Name, samples: Vec<Sample>, exposed: Range<usize>) -> Self {
        let bounds = match name.metric().form {
            Form::Histogram(bounds) => bounds_in_text(bounds),
            Form::Counter | Form::Gauge => Vec::new(),
        };
        let last = bounds.len().saturating_sub(1);
        let each =
            bounds.into_iter().enumerate().filter(|(position, _)| is_exposed(&exposed, *position, last));
        let bounds = each.map(|(_, bound)| bound).collect();
        Self { name, exposed, bounds, left: samples.into_iter(), is_begun: false }
    }

    /// Writes some samples, and before the first what the metric is.
    fn write(&mut self, target: &mut Json, format: ExpositionFormat, scratch: &mut String) {
        let metric = self.name.metric();
        // A histogram has dozens of lines.
        let many = if matches!(metric.form, Form::Histogram(_)) { 4 } else { 64 };
        let samples = self.left.by_ref().take(many).collect();
        let mut registry = Registry::default();
        let family = Family { name: self.name, samples, exposed: self.exposed.clone() };
        registry.register_collector(Box::new(family));
        scratch.clear();
        text::encode_registry(scratch, &registry).expect("strings take all");
        let is_begun = std::mem::replace(&mut self.is_begun, true);
        // The samples follow two lines about the metric.
        let samples = scratch.splitn(3, '\n').nth(2).unwrap_or_default();
        match format {
            ExpositionFormat::OpenMetrics => target.raw(if is_begun { samples } else { scratch }),
            ExpositionFormat::Text => {
                if !is_begun {
                    let form = metric.form.name();
                    for part in
                        ["# HELP ", metric.name, " ", metric.help, "\n# TYPE ", metric.name, " ", form, "\n"]
                    {
                        target.raw(part);
                    }
                }
                push_as_text(target, &self.bounds, samples);
            }
        }
    }
}

impl Render for Exposition {
    fn fill(&mut self, target: &mut Json) -> Progress {
        while target.bytes.len() < CHUNK {
            let metric = match &mut self.metric {
                Some(metric) if metric.left.len() > 0 => metric,
                _ => {
                    let Some((name, samples)) = self.metrics.next() else {
                        if self.format == ExpositionFormat::OpenMetrics {
                            self.scratch.clear();
                            text::encode_eof(&mut self.scratch).expect("strings take all");
                            target.raw(&self.scratch);
                        }
                        return Progress::Done;
                    };
                    let exposed = self.exposed.get(&name).cloned().unwrap_or(ALL_BOUNDS);
                    self.metric.insert(Exposed::new(name, samples, exposed))
                }
            };
            metric.write(target, self.format, &mut self.scratch);
        }
        Progress::More
    }
}

/// Which series of a history each label set of the last scrape is, so that they are looked up once.
#[derive(Debug, Default)]
pub(crate) struct Fed {
    scrape: u64,
    by_labels: BTreeMap<Name, ByLabels>,
}

type ByLabels = HashMap<LabelSet, FedSet, BuildHasherDefault<LabelSetHasher>>;

/// The series of one label set of a metric.
#[derive(Debug, Default)]
struct FedSet {
    /// The last scrape that it was in.
    scrape: u64,
    /// Of a histogram: the sum, the count, and then the buckets.
    series: Vec<Option<SeriesRef>>,
}

/// A label set while it is fed to a history.
struct Feeding<'f, 's, 'h> {
    sample: &'f Sample,
    series: &'f mut Vec<Option<SeriesRef>>,
    scrape: &'s mut Scrape<'h>,
}

impl<'f, 's, 'h> Feeding<'f, 's, 'h> {
    fn of(sample: &'f Sample, number: u64, by_labels: &'f mut ByLabels, scrape: &'s mut Scrape<'h>) -> Self {
        let known = by_labels.entry(sample.labels.clone()).or_default();
        known.scrape = number;
        Self { sample, series: &mut known.series, scrape }
    }

    /// The value of one of its series, which has that place among them.
    fn put(&mut self, place: usize, name: &str, bound: Option<&str>, value: f64, is_born: bool) {
        if let Some(Some(known)) = self.series.get(place)
            && self.scrape.again(*known, value, is_born)
        {
            return;
        }
        let pairs = self.sample.labels.pairs();
        let mut labels: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        labels.extend(bound.map(|bound| ("le", bound)));
        let series = match is_born {
            true => self.scrape.born(name, &labels, value),
            false => self.scrape.sample(name, &labels, value),
        };
        if self.series.len() <= place {
            self.series.resize(place + 1, None);
        }
        self.series[place] = series;
    }
}

/// A metric and its samples, as the client library asks for them.
#[derive(Debug)]
struct Family {
    name: Name,
    samples: Vec<Sample>,
    exposed: Range<usize>,
}

impl Collector for Family {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let metric = self.name.metric();
        let (name, form) = match metric.form {
            // The library adds it to each sample.
            Form::Counter => (metric.name.trim_end_matches("_total"), MetricType::Counter),
            Form::Gauge => (metric.name, MetricType::Gauge),
            Form::Histogram(_) => (metric.name, MetricType::Histogram),
        };
        let mut encoder = encoder.encode_descriptor(name, metric.help, None, form)?;
        for sample in &self.samples {
            match sample.labels.as_str() {
                "" => sample.encode(&mut encoder, metric.form, &self.exposed)?,
                _ => {
                    let labels = Written(&sample.labels);
                    sample.encode(&mut encoder.encode_family(&labels)?, metric.form, &self.exposed)?;
                }
            }
        }
        Ok(())
    }
}

impl Sample {
    fn encode(&self, encoder: &mut MetricEncoder<'_>, form: Form, exposed: &Range<usize>) -> fmt::Result {
        match (&self.value, form) {
            (SampleValue::Count(count), Form::Gauge) => encoder.encode_gauge(count),
            (SampleValue::Count(count), _) => {
                let count = if self.is_new { 0 } else { *count };
                encoder.encode_counter::<NoLabelSet, _, f64>(&count, None)
            }
            (SampleValue::Level(level), _) => encoder.encode_gauge(level),
            (SampleValue::Histogram(histogram), Form::Histogram(bounds)) => {
                let shown = |count: &u64| if self.is_new { 0 } else { *count };
                // What is below a bound that is not exposed is below the next.
                let mut buckets = Vec::new();
                let mut below = 0;
                for (position, count) in histogram.counts.iter().map(shown).enumerate() {
                    below += count;
                    if is_exposed(exposed, position, bounds.len()) {
                        let bound = bounds.get(position).copied().unwrap_or(f64::INFINITY);
                        buckets.push((bound, std::mem::take(&mut below)));
                    }
                }
                let sum = if self.is_new { 0.0 } else { histogram.sum };
                let count = shown(&histogram.count());
                encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
            }
            (SampleValue::Histogram(_), _) => Err(fmt::Error),
        }
    }
}

/// Labels that are written already. The library takes names as they are and escapes values; so all but the end of the
/// last value goes for the name of a label.
struct Written<'l>(&'l LabelSet);

impl EncodeLabelSet for Written<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        use fmt::Write;
        let Some(name) = self.0.as_str().strip_suffix("\"") else { return Ok(()) };
        // What opens the last value is added by the library: it is the last `="`, for within values quotes are
        // escaped, so that an equals sign before one has a backslash between.
        let Some((before, value)) = name.rsplit_once("=\"") else { return Err(fmt::Error) };
        let mut label = encoder.encode_label();
        let mut key = label.encode_label_key()?;
        key.write_str(before)?;
        let mut encoder = key.encode_label_value()?;
        encoder.write_str(&unescaped(value))?;
        encoder.finish()
    }
}

/// Samples in OpenMetrics to the text format; `bounds` are those of each, if it is a histogram.
fn push_as_text(target: &mut Json, bounds: &[String], samples: &str) {
    if bounds.is_empty() {
        target.raw(samples);
        return;
    }
    let mut bounds = bounds.iter().cycle();
    for line in samples.split_inclusive('\n') {
        // The library writes the bound first, and the bounds in order.
        match line.split_once("{le=\"").and_then(|(name, rest)| Some((name, rest.split_once('"')?.1))) {
            Some((name, rest)) => {
                for part in [name, "{le=\"", bounds.next().map_or("", String::as_str), "\"", rest] {
                    target.raw(part);
                }
            }
            None => target.raw(line),
        }
    }
}

/// The bounds of a histogram, and the one above all.
fn bounds_in_text(bounds: &[f64]) -> Vec<String> {
    bounds.iter().map(|bound| bound_in_text(*bound)).chain(["+Inf".to_owned()]).collect()
}

/// A bound as the network observer's client library writes it: 1000, but 1e+06.
fn bound_in_text(bound: f64) -> String {
    let text = format!("{bound}");
    match format!("{bound:e}").split_once('e') {
        Some((mantissa, exponent)) if bound >= 1e6 => format!("{mantissa}e+{exponent:0>2}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered() -> Gathered {
        let mut gathered = Gathered::default();
        let labels = LabelSet::new([("site_id", "a=\"\\"), ("role", "x=\"y\nz")]);
        gathered.add(Name::SiteLinkErrors, labels, SampleValue::Count(7));
        gathered.add(Name::Attached, LabelSet::new([]), SampleValue::Level(1.0));
        let mut histogram = Histogram::new(MICROSECONDS);
        for value in [1000.0, 1001.0, 2e6, 3e7] {
            histogram.observe(MICROSECONDS, value);
        }
        let (labels, value) =
            (LabelSet::new([("direction", "incoming")]), SampleValue::Histogram(histogram.into()));
        gathered.add(Name::Latency, labels, value);
        gathered
    }

    use crate::metrics::table::MICROSECONDS;

    fn written(gathered: Gathered, format: ExpositionFormat) -> String {
        let mut exposition = gathered.expose_as(format);
        let (mut text, mut is_done) = (Vec::new(), false);
        while !is_done {
            let mut piece = Json::default();
            is_done = exposition.fill(&mut piece) == Progress::Done;
            assert!(piece.bytes.len() < 2 * CHUNK, "{}", piece.bytes.len());
            text.append(&mut piece.bytes);
        }
        String::from_utf8(text).expect("it is text")
    }

    #[test]
    fn pieces_come_to_what_the_library_writes_at_once() {
        // More than fits a piece, of which the last batch of each metric is a part of one.
        let mut samples = Vec::new();
        let mut gathered = Gathered::default();
        for number in 0..1_003_u64 {
            let labels = LabelSet::new([("direction", "incoming"), ("site", &*format!("s{number}"))]);
            let mut histogram = Histogram::new(MICROSECONDS);
            histogram.observe(MICROSECONDS, number as f64);
            let value = SampleValue::Histogram(histogram.into());
            gathered.add(Name::Latency, labels.clone(), value.clone());
            gathered.add(Name::SentBytes, labels.clone(), SampleValue::Count(number));
            let born_bounds = ALL_BOUNDS;
            samples.push(Sample { labels, value, is_new: false, is_born: false, born_bounds });
        }
        let mut registry = Registry::default();
        let family = Family { name: Name::Latency, samples, exposed: ALL_BOUNDS };
        registry.register_collector(Box::new(family));
        let mut whole = String::new();
        text::encode_registry(&mut whole, &registry).expect("strings take all");
        let pieces = written(gathered, ExpositionFormat::OpenMetrics);
        assert!(pieces.contains(&whole));
        assert_eq!(pieces.matches("# TYPE").count(), 2);
        assert_eq!(pieces.lines().count(), whole.lines().count() + 2 + 1_003 + 1);
    }

    #[test]
    fn openmetrics_is_as_the_official_library_writes_it() {
        assert_eq!(
            written(gathered(), ExpositionFormat::OpenMetrics),
            "# HELP legacy_flow_latency_microseconds Time to the first octet of connections, in microseconds: from \
             the client as incoming, and from the server as outgoing, with source and destination swapped.\n\
             # TYPE legacy_flow_latency_microseconds histogram\n\
             legacy_flow_latency_microseconds_sum{direction=\"incoming\"} 32002001.0\n\
             legacy_flow_latency_microseconds_count{direction=\"incoming\"} 4\n\
             legacy_flow_latency_microseconds_bucket{le=\"1000.0\",direction=\"incoming\"} 1\n\
             legacy_flow_latency_microseconds_bucket{le=\"2000.0\",direction=\"incoming\"} 2\n\
             legacy_flow_latency_microseconds_bucket{le=\"5000.0\",direction=\"incoming\"} 2\n\
             legacy_flow_latency_microseconds_bucket{le=\"10000.0\",direction=\"incoming\"} 2\n\
             legacy_flow_latency_microseconds_bucket{le=\"100000.0\",direction=\"incoming\"} 2\n\
             legacy_flow_latency_microseconds_bucket{le=\"1000000.0\",direction=\"incoming\"} 2\n\
             legacy_flow_latency_microseconds_bucket{le=\"10000000.0\",direction=\"incoming\"} 3\n\
             legacy_flow_latency_microseconds_bucket{le=\"+Inf\",direction=\"incoming\"} 4\n\
             # HELP skupper_site_link_errors How often links of the site went down since the collector first saw each.\n\
             # TYPE skupper_site_link_errors counter\n\
             skupper_site_link_errors_total{site_id=\"a=\\\"\\\\\",role=\"x=\\\"y\\nz\"} 7\n\
             # HELP vanflow_collector_attached 1 while there is a connection to a router, or to what stands in for one.\n\
             # TYPE vanflow_collector_attached gauge\n\
             vanflow_collector_attached 1.0\n\
             # EOF\n"
        );
    }

    #[test]
    fn the_text_format_has_the_names_of_samples_the_observers_bounds_and_no_end() {
        let text = written(gathered(), ExpositionFormat::Text);
        assert!(
            text.contains("# TYPE skupper_site_link_errors_total counter\nskupper_site_link_errors_total{")
        );
        let bounds: Vec<_> =
            text.split("{le=\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)).collect();
        assert_eq!(bounds, ["1000", "2000", "5000", "10000", "100000", "1e+06", "1e+07", "+Inf"]);
        assert!(!text.contains("# EOF") && !text.contains("# UNIT"));
        for (bound, expected) in [(0.001, "0.001"), (2.5, "2.5"), (1e5, "100000"), (2.5e7, "2.5e+07")] {
            assert_eq!(bound_in_text(bound), expected);
        }
    }

    #[test]
    fn what_is_new_is_zero_at_first() {
        let mut gathered = Gathered::default();
        let mut histogram = Histogram::new(MICROSECONDS);
        histogram.observe(MICROSECONDS, 5.0);
        for (name, value) in [
            (Name::SentBytes, SampleValue::Count(9)),
            (Name::Latency, SampleValue::Histogram(histogram.into())),
        ] {
            gathered.push(
                name,
                Sample {
                    labels: LabelSet::new([("a", "b")]),
                    value,
                    is_new: true,
                    is_born: true,
                    born_bounds: ALL_BOUNDS,
                },
            );
        }
        let text = written(gathered, ExpositionFormat::Text);
        let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(samples.len(), 11);
        assert!(samples.iter().all(|sample| sample.ends_with(" 0") || sample.ends_with(" 0.0")), "{text}");
    }
}
