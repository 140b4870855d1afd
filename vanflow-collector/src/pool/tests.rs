//! Answers that take turns. Nothing here asserts how long anything takes.

use std::{
    future::pending,
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::stream;
use http_body_util::StreamBody;

use super::*;

fn client(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

fn pool(turns: usize) -> Pool {
    Pool::of(turns, Duration::from_secs(3600)).expect("threads")
}

/// A response whose body is those pieces, each computed.
fn computed(pieces: impl Iterator<Item = Bytes> + Send + 'static) -> Response<Body> {
    let frames = stream::iter(pieces.map(|piece| Ok::<_, Failure>(Frame::data(piece))));
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response.extensions_mut().insert(Making::Computed);
    response
}

async fn text(response: Response<Body>) -> String {
    let octets = response.into_body().collect().await.expect("comes whole").to_bytes();
    String::from_utf8(octets.to_vec()).expect("text")
}

#[tokio::test]
async fn answers_come_whole_in_pieces_or_at_once() {
    let pool = pool(1);
    for pieces in [0, 1, 2, 100] {
        let answering = async move { computed((0..pieces).map(|number| Bytes::from(format!("{number},")))) };
        let expected: String = (0..pieces).map(|number| format!("{number},")).collect();
        assert_eq!(
            text(pool.answer(client(1), Duration::ZERO, answering).await.expect("in time")).await,
            expected
        );
    }
    let at_once = pool
        .answer(client(1), Duration::ZERO, async { Response::new(whole("hello")) })
        .await
        .expect("in time");
    assert_eq!(at_once.body().size_hint().exact(), Some(5), "its length is known");
    assert_eq!(text(at_once).await, "hello");
}

#[tokio::test]
async fn costly_questions_of_one_client_wait_and_one_of_another_does_not_wait_for_all_of_them() {
    let pool = pool(1);
    let gate = Arc::new(Barrier::new(2));
    let done = Arc::new(AtomicUsize::new(0));
    let mut costly = tokio::task::JoinSet::new();
    for number in 0..100 {
        let (gate, done, pool) = (Arc::clone(&gate), Arc::clone(&done), pool.clone());
        let mut answering = Box::pin(async move {
            let compute = move || {
                if number == 0 {
                    gate.wait();
                }
                done.fetch_add(1, Ordering::SeqCst);
            };
            let answering = async {
                in_turn(compute).await;
                Response::new(whole("much"))
            };
            pool.answer(client(1), Duration::ZERO, answering).await.map(drop)
        });
        assert!(futures_util::poll!(&mut answering).is_pending());
        costly.spawn(answering);
    }
    // All of them wait for the first one, and this one after it.
    while pool.shared.turns.waiting() < 99 {
        tokio::task::yield_now().await;
    }
    let seen = Arc::clone(&done);
    let mut other = Box::pin(pool.answer(client(2), Duration::ZERO, async move {
        let before = in_turn(move || seen.load(Ordering::SeqCst)).await;
        Response::new(whole(before.to_string()))
    }));
    assert!(futures_util::poll!(&mut other).is_pending());
    while pool.shared.turns.waiting() < 100 {
        tokio::task::yield_now().await;
    }
    gate.wait();
    assert_eq!(text(other.await.expect("in time")).await, "2", "one that had begun, and one more");
    assert_eq!(costly.join_all().await.len(), 100);
    assert_eq!(done.load(Ordering::SeqCst), 100);
}

#[tokio::test]
async fn what_does_not_begin_in_time_is_late_and_gives_up_its_turn() {
    let pool = Pool::of(1, Duration::from_millis(1)).expect("threads");
    let late = pool.answer(client(1), Duration::ZERO, async {
        in_turn(|| ()).await;
        pending().await
    });
    assert_eq!(late.await.map(drop), Err(Late));
    assert_eq!(pool.within(), Duration::from_millis(1));
    // It held no turn, or gave it back.
    pool.shared.turns.take(client(2)).await;
}

#[tokio::test]
async fn a_client_that_leaves_is_not_computed_for() {
    let pool = pool(1);
    let turn = pool.shared.turns.take(client(2)).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let mut answering = Box::pin(pool.answer(client(1), Duration::ZERO, async move {
        in_turn(|| counted.fetch_add(1, Ordering::SeqCst)).await;
        Response::new(empty())
    }));
    assert!(futures_util::poll!(&mut answering).is_pending());
    while pool.shared.turns.waiting() < 1 {
        tokio::task::yield_now().await;
    }
    drop(answering);
    drop(turn);
    drop(pool.shared.turns.take(client(1)).await);
    assert_eq!(asked.load(Ordering::SeqCst), 0);

    // Nor for the rest of an answer that it does not take.
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let endless = std::iter::repeat_with(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Bytes::from_static(b"piece")
    });
    let mut response =
        pool.answer(client(1), Duration::ZERO, async { computed(endless) }).await.expect("in time");
    for _ in 0..10 {
        response.body_mut().frame().await.expect("there is more").expect("it comes");
    }
    drop(response);
    assert!(made.load(Ordering::SeqCst) <= 12, "no more than two pieces ahead");
}

#[tokio::test]
async fn an_answer_that_fails_is_a_500_or_cut_off() {
    let pool = pool(1);
    let failing = async { in_turn(|| -> Response<Body> { panic!("this is what the test is about") }).await };
    let response = pool.answer(client(1), Duration::ZERO, failing).await.expect("in time");
    assert_eq!(response.status(), 500);
    assert_eq!(text(response).await, "{\"error\": \"the answer failed\"}\n");
    let failing = (0..5).map(|number| match number {
        4 => panic!("this is what the test is about"),
        _ => Bytes::from_static(b"piece"),
    });
    let response =
        pool.answer(client(1), Duration::ZERO, async { computed(failing) }).await.expect("in time");
    let error = response.into_body().collect().await.expect_err("it is not whole");
    assert_eq!(error.to_string(), "the answer failed");
    assert_eq!(
        text(
            pool.answer(client(1), Duration::ZERO, async { Response::new(whole("on")) })
                .await
                .expect("in time")
        )
        .await,
        "on"
    );
}
