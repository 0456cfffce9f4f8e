//! Many writers and readers at once.

use eventstore::{
    AppendToStreamOptions, Error, StreamPosition, StreamState, SubscribeToAllOptions, SubscriptionFilter,
};
use honoken_test_kurrentdb::Kurrent;

use super::{client, expecting, note, number, numbers, soon};

/// Of 32 writers that expect the same revision one wins, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_writers_one_wins() {
    let kurrent = Kurrent::start();
    let stream = Kurrent::fresh_prefix();
    let writers = (0..32).map(|writer| {
        let (client, stream) = (client(&kurrent), stream.clone());
        tokio::spawn(async move {
            let mut wins = 0;
            while wins < 5 {
                let state = match numbers(&client, &stream).await {
                    Ok(found) => StreamState::StreamRevision(found.len() as u64 - 1),
                    Err(Error::ResourceNotFound) => StreamState::NoStream,
                    Err(fault) => panic!("{fault}"),
                };
                match client.append_to_stream(stream.as_str(), &expecting(state), note(writer)).await {
                    Ok(_) => wins += 1,
                    Err(Error::WrongExpectedVersion { .. }) => {}
                    Err(fault) => panic!("{fault}"),
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        soon(writer).await.expect("a writer ends well");
    }
    assert_eq!(numbers(&client(&kurrent), &stream).await.unwrap().len(), 160);
}

/// Readers who begin at different times see the same order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_sees_the_same_order() {
    let kurrent = Kurrent::start();
    let prefix = Kurrent::fresh_prefix();
    let follow = |kurrent: &Kurrent| {
        let (client, filter) = (client(kurrent), SubscriptionFilter::on_stream_name().add_prefix(&prefix));
        tokio::spawn(async move {
            let options = SubscribeToAllOptions::default().position(StreamPosition::Start).filter(filter);
            let mut subscription = client.subscribe_to_all(&options).await;
            let mut seen = Vec::new();
            while seen.len() < 32 * 30 {
                let event = subscription.next().await.expect("it goes on");
                let event = event.get_original_event();
                seen.push((event.position.commit, number(event)));
            }
            seen
        })
    };
    let early = follow(&kurrent);
    let writers = (0..32).map(|writer| {
        let (client, stream) = (client(&kurrent), format!("{prefix}{writer}"));
        tokio::spawn(async move {
            for round in 0..10 {
                let events: Vec<_> = (0..3).map(|event| note(round * 3 + event)).collect();
                client
                    .append_to_stream(stream.as_str(), &AppendToStreamOptions::default(), events)
                    .await
                    .expect("it is stored");
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let between = follow(&kurrent);
    for writer in writers {
        soon(writer).await.expect("a writer ends well");
    }
    let late = follow(&kurrent);
    let early = soon(early).await.unwrap();
    assert!(early.is_sorted_by(|before, after| before.0 < after.0), "nothing comes twice, nothing late");
    assert_eq!(early, soon(between).await.unwrap());
    assert_eq!(early, soon(late).await.unwrap());
}
