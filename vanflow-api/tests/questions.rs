//! The questions of `docs/questions.md`, asked, and the answers that it shows.

use std::{fs, path::Path};

use http_body_util::BodyExt;

use crate::support::{Fixture, request_with};

/// A call that the page shows, and the answer below it.
struct Question<'p> {
    call: &'p str,
    answer: &'p str,
}

fn questions(page: &str) -> Vec<Question<'_>> {
    let calls = page.split("```sh\n").skip(1);
    calls
        .map(|part| {
            let (call, rest) = part.split_once("\n```\n\n```text\n").expect("each call has an answer");
            let (answer, _) = rest.split_once("```").expect("the answer has an end");
            Question { call, answer }
        })
        .collect()
}

/// What `curl` would be answered. Of a watch it is what comes at once.
fn answer(fixture: &Fixture, call: &str) -> String {
    let (before, url) = call.trim_end_matches('\'').rsplit_once('\'').expect("there is a URL");
    let accept = before.split("Accept: ").nth(1).map_or("*/*", |accept| accept.trim_end_matches(['\'', ' ']));
    let path = url.strip_prefix("http://127.0.0.1:8010").expect("it is ours");
    let response = fixture.respond(request_with(path, &[("accept", accept)]));
    assert_eq!(response.status().as_u16(), 200, "{call}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut body = response.into_body();
    let octets = runtime.block_on(async {
        match path.contains("watch=1") {
            true => body.frame().await.unwrap().unwrap().into_data().unwrap(),
            false => body.collect().await.unwrap().to_bytes(),
        }
    });
    String::from_utf8(octets.to_vec()).unwrap().replace("\r\n", "\n")
}

/// To write the answers anew, set `RENEW_QUESTIONS`; then read what has changed.
#[test]
fn each_question_of_the_page_has_the_answer_that_it_shows() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/questions.md");
    let page = fs::read_to_string(&file).unwrap();
    let fixture = Fixture::observed("router-3.5");
    let mut renewed = page.clone();
    for Question { call, answer: shown } in questions(&page) {
        let answer = answer(&fixture, call);
        let block = |answer: &str| format!("{call}\n```\n\n```text\n{answer}```");
        renewed = renewed.replace(&block(shown), &block(&answer));
    }
    if std::env::var_os("RENEW_QUESTIONS").is_some() {
        fs::write(&file, &renewed).unwrap();
    }
    assert!(page == renewed, "the answers to these questions are others now:\n{renewed}");
    let asked: Vec<_> = page.lines().filter(|line| line.starts_with("## ")).collect();
    assert_eq!(asked.len(), 15);
}
