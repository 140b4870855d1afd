//! Queries within one network are the same questions.

use vanflow_history::{QueryKind, Scope, respond};

use crate::world::{self, EPOCH};

#[test]
fn a_query_within_the_network_of_all_series_has_the_same_answer() {
    let history = world::history(&world::scrapes());
    // No series of this world has the label, which is as good as an empty one.
    let scope = Scope { network: String::new(), is_series: |_| true };
    let end = EPOCH / 1000 + 600;
    let mut asked = 0;
    for query in include_str!("queries.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let encoded: String = form_urlencoded(query);
        let form = format!("query={encoded}&start={}&end={end}&step=7&time={end}", end - 300);
        for kind in [QueryKind::Instant, QueryKind::Range] {
            let answer = respond(kind, None, &form, &history, 0);
            match scope.apply(kind, None, &form) {
                Ok(scoped) => {
                    assert_eq!(respond(kind, None, &scoped, &history, 0), answer, "{query}");
                    asked += 1;
                }
                Err(refusal) => {
                    let text = String::from_utf8(refusal.body).unwrap();
                    let is_nameless = refusal.status == 403 && text.contains("has to name a metric");
                    assert!(is_nameless || (refusal.status, 400) == (answer.0, 400), "{query}: {text}");
                }
            }
        }
    }
    assert!(asked > 500, "{asked}");
}

fn form_urlencoded(text: &str) -> String {
    text.bytes().map(|octet| format!("%{octet:02X}")).collect()
}
