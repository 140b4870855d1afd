//! What to do about a start that goes wrong, for whoever typed it.

use crate::config::{Router, Source};

/// What routers that cannot be attached to are said to do, in lower case, and what that means.
const MARKS: [(&str, &str); 8] = [
    ("connection refused", "nobody listens there: does the router run, and is that its AMQP port?"),
    ("name or service not known", "there is no host of that name;"),
    ("failed to lookup address", "there is no host of that name;"),
    ("did not answer within", "whoever is there does not answer: is that its AMQP port?"),
    ("does not speak amqp", "whoever listens there is no router: is that its AMQP port?"),
    (
        "no tls with the router",
        "they do not agree on TLS: is that its amqps port, and is --ca the authority of its certificate?",
    ),
    (
        "closed the connection before it was open",
        "the router wants something else: amqps:// perhaps, or a certificate;",
    ),
    ("no route to host", "there is no path to that host from here;"),
];

/// What to do when a router is not attached to for that reason; none where nobody knows.
pub(crate) fn about_router(source: &Source, reason: &str) -> Option<String> {
    let reason = reason.to_lowercase();
    let (_, meaning) = MARKS.iter().find(|(mark, _)| reason.contains(mark))?;
    let option = match source {
        Source::Router(Router::Url { .. }) => "--router names another",
        Source::Router(Router::ConnectJson(_)) => {
            "its address is from the connect.json; --router names another"
        }
        Source::Router(Router::Skupper(_)) => {
            "its address is what Skupper keeps of the namespace; --router names another"
        }
        Source::Demo(_) | Source::Replay(_) => return None,
    };
    Some(format!("{meaning} {option}; it is tried again"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::demo::DemoOptions;

    #[test]
    fn a_router_that_cannot_be_attached_to_says_what_to_do() {
        let by_url =
            Source::Router(Router::Url { url: "amqp://r".into(), ca: None, identity: None, password: None });
        let by_file = Source::Router(Router::ConnectJson(PathBuf::from("/etc/messaging/connect.json")));
        let reason = "cannot reach the router at r:5672: Connection refused (os error 111)";
        assert_eq!(
            about_router(&by_url, reason).as_deref(),
            Some(
                "nobody listens there: does the router run, and is that its AMQP port? --router names another; it is \
                 tried again"
            )
        );
        assert_eq!(
            about_router(&by_file, "the router at r:5671 did not answer within 10 s").as_deref(),
            Some(
                "whoever is there does not answer: is that its AMQP port? its address is from the connect.json; --router \
                 names another; it is tried again"
            )
        );
        assert_eq!(about_router(&by_url, "the router went away"), None, "it is there again soon");
        assert_eq!(about_router(&Source::Demo(DemoOptions::default()), reason), None);
    }
}
