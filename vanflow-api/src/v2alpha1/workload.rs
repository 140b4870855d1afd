//! Processes, and the components that they make.

use vanflow_proto::Attribute;

use crate::v2alpha1::{
    party::ROLES,
    schema::{Cell, schema},
    view::{Subject, instant, key},
};

schema! {
    /// A process: a pod, a container, a program on a host; or what must be at a host because connections come from
    /// there or go there, though no controller reports it.
    PROCESS "Process" |view, Subject::Process(process)| {
        "binding" OneOf(&["bound", "unbound"]) Always "`bound` where it serves a service that has a listener, otherwise `unbound`." =>
            Cell::text(if view.is_bound(process) { "bound" } else { "unbound" });
        "componentId" Text Always "The component that it is part of." => Cell::text(process.component_id());
        "componentName" Text Always "The name of that component." => Cell::Text(process.group());
        "endTime" Instant Always "When it went; 0 while it is there." => instant(process.end());
        "hostName" Text Nullable "The host that it runs on." =>
            Cell::or_null(process.reported().and_then(|reported| reported.text(Attribute::Hostname)));
        "identity" Text Always "The identity of the record." => Cell::Text(process.id());
        "imageName" Text Nullable "The image that it runs." =>
            Cell::or_null(process.reported().and_then(|reported| reported.text(Attribute::ImageName)));
        "key" Text Always "The identity and the start where a controller reports it, otherwise the identity." =>
            match process.reported() {
                Some(record) => key(record.id(), record.start()),
                None => Cell::Text(process.id()),
            };
        "name" Text Always "Its name." => Cell::Text(process.name());
        "role" OneOf(ROLES) Always "`internal` to Skupper, `external`, or `remote` where no controller reports it." =>
            Cell::text(process.role());
        "services" Parted Nullable "The services that it serves: name, identity and protocol, with `@` between them." =>
            match view.services_of(process) {
                services if services.is_empty() => Cell::Null,
                services => Cell::Texts(services.into_iter().map(Into::into).collect()),
            };
        "siteId" Text Always "The site that it is in." => Cell::Text(process.site_id());
        "siteName" Text Always "The name of that site." => Cell::Text(process.site_name());
        "sourceHost" Text Always "The address that it has." => Cell::Text(process.host());
        "startTime" Instant Always "When it came to be, or was seen first." => instant(process.start());
    }
}

schema! {
    /// A component: the processes of one group, wherever they are. A process without a group is one of its own.
    COMPONENT "Component" |view, Subject::Component(component)| {
        "endTime" Instant Always "When the last of its processes went; 0 while one is there." => instant(component.end);
        "identity" Text Always "An identity made of the name." => Cell::text(component.id.as_str());
        "name" Text Always "The group." => Cell::text(component.name.as_str());
        "processCount" Number Always "How many processes it has." => Cell::Number(component.process_count);
        "role" OneOf(ROLES) Always "`external` where one of its processes is, else `remote` where one is, else `internal`." =>
            Cell::text(component.role);
        "startTime" Instant Always "When the first of its processes came to be." => instant(component.start);
    }
}
