//! How many events a second become durable. Run it by hand, in release:
//! `cargo test --release -p chaperone --test server -- --ignored --nocapture throughput`

use std::time::Instant;

use crate::kit::{self, node, record};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn throughput_of_events() {
    const NODES: u128 = 4;
    const RECORDS_PER_BATCH: u64 = 200;
    const BATCHES: u64 = 60;
    let (server, _temp) = kit::start().await;
    let started = Instant::now();
    let senders = (0..NODES).map(|n| {
        let server = &server;
        async move {
            let node = node(&format!("envoy-{n}"), 1000 + n);
            let (mut seq, mut stream) = (1, 1);
            for _ in 0..BATCHES {
                let mut events = Vec::new();
                for _ in 0..RECORDS_PER_BATCH {
                    events.extend(record(&node, stream, seq, "alice", "/v1/chat/completions"));
                    stream += 1;
                    seq += 4;
                }
                server.events(&node, &events).await.ok();
            }
            seq - 1
        }
    });
    let events: u64 = futures_util::future::join_all(senders)
        .await
        .into_iter()
        .sum();
    let seconds = started.elapsed().as_secs_f64();
    eprintln!(
        "{events} events in {seconds:.2} s: {:.0} a second",
        events as f64 / seconds
    );
}
