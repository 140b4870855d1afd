//! Where a connection comes from and where it goes, as labels.

use crate::{
    metrics::{Detail, table::FLOW},
    v2alpha1::{Flow, Party, View},
};

/// The values of the labels of a series, in the order of [`FLOW`].
pub(super) type Values = [String; FLOW.len()];

/// Where the name of the label is in [`FLOW`].
pub(super) const PROTOCOL: usize = 9;

/// What stands for something that is not known.
pub(super) const UNKNOWN: &str = "unknown";

/// The ids of the client's and the server's PROCESS records, where they are reported.
pub(super) type Ends = [Option<String>; 2];

/// What a lane's labels are, and the processes at its ends.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) values: Values,
    pub(super) ends: Ends,
}

pub(super) fn resolve<'v>(flow: &Flow<'v>, view: View<'v>, detail: Detail) -> Resolved {
    let (source, destination) = (flow.source(view), flow.destination(view));
    let of =
        |value: Option<String>| value.filter(|value| !value.is_empty()).unwrap_or_else(|| UNKNOWN.to_owned());
    let source_site =
        [flow.source_site_id(), flow.source_site_name()].map(|text| of(Some(text.into_owned())));
    let destination_site = [flow.destination_site_id(view), flow.destination_site_name(view)];
    let destination_site = destination_site.map(|text| of(Some(text.into_owned())));
    let ends = [source, destination].map(|party| {
        let reported = party.and_then(|party| party.reported())?;
        Some(reported.id().to_string())
    });
    let end = |party: Option<&Party<'_>>, site: &[String; 2]| {
        let process = of(party.map(|party| party.name().into_owned()));
        let group = of(party.map(|party| party.group().into_owned()));
        let component = of(party.map(|party| party.component_id()));
        match detail {
            Detail::Process => [component, group, process],
            Detail::Component => [component, group.clone(), group],
            Detail::Site => [site[0].clone(), site[1].clone(), site[1].clone()],
        }
    };
    let source = end(source, &source_site);
    let destination = end(destination, &destination_site);
    let values = FLOW.iter().map(|name| match *name {
        "source_site_id" => source_site[0].clone(),
        "source_site_name" => source_site[1].clone(),
        "source_component_id" => source[0].clone(),
        "source_component_name" => source[1].clone(),
        "source_process_name" => source[2].clone(),
        "dest_site_id" => destination_site[0].clone(),
        "dest_site_name" => destination_site[1].clone(),
        "dest_component_id" => destination[0].clone(),
        "dest_component_name" => destination[1].clone(),
        "dest_process_name" => destination[2].clone(),
        "routing_key" => of(Some(flow.routing_key().into_owned())),
        _ => of(Some(flow.protocol().into_owned())),
    });
    let values: Vec<String> = values.collect();
    Resolved { values: values.try_into().expect("one for each label"), ends }
}

/// The labels that connections like this one are counted by, each with its value.
pub(crate) fn flow_labels<'v>(
    flow: &Flow<'v>,
    view: View<'v>,
    detail: Detail,
) -> Vec<(&'static str, String)> {
    FLOW.iter().copied().zip(resolve(flow, view, detail).values).collect()
}

pub(super) fn named(values: &Values) -> impl Iterator<Item = (&str, &str)> {
    FLOW.iter().copied().zip(values.iter().map(String::as_str))
}

/// The same, seen from the other side.
pub(super) fn swapped(values: &Values) -> Values {
    let other = |name: &str| match name.split_once('_') {
        Some(("source", rest)) => format!("dest_{rest}"),
        Some(("dest", rest)) => format!("source_{rest}"),
        _ => name.to_owned(),
    };
    let value = |name: &&str| {
        let other = other(name);
        let position = FLOW.iter().position(|name| *name == other);
        values[position.expect("each label of a source has one of a destination")].clone()
    };
    std::array::from_fn(|position| value(&FLOW[position]))
}
