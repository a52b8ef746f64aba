//! A gate that takes several ticks to make.

use serde_json::json;

use super::{
    Envoy, ROOT, body, parsed, plugin_configuration, sealed, signer, version_of_pieces,
    version_that_fails_after,
};
use crate::node::TICK_MS;

/// Workers that enforce version 1, on which each piece of a gate takes a millisecond.
fn enforcing_the_first(workers: usize) -> Envoy {
    let mut envoy = Envoy::new(workers);
    envoy.tick();
    offer(&mut envoy, 1);
    envoy.run(50);
    for worker in &envoy.workers {
        assert_eq!(worker.enforced(), Some(1));
        worker.host.reading_takes.set(1_000);
    }
    envoy
}

/// Answers the long poll of whichever worker has sent it.
fn offer(envoy: &mut Envoy, version: u64) -> usize {
    for (at, worker) in envoy.workers.iter_mut().enumerate() {
        if let Some(poll) = worker.polls().pop() {
            worker.answer(&poll, &json!({ "bundle": sealed(&signer(), version) }));
            return at;
        }
    }
    panic!("nobody polls");
}

#[test]
fn the_policy_in_force_decides_until_the_next_one_is_made() {
    let mut envoy = enforcing_the_first(1);
    let version = version_of_pieces(4);
    offer(&mut envoy, version);
    for _ in 0..3 {
        let worker = &mut envoy.workers[0];
        assert_eq!(worker.enforced(), Some(1));
        assert_eq!(worker.host.ticks.borrow()[&ROOT], 1, "ticks come quickly");
        assert!(worker.polls().is_empty(), "it would bring the same again");
        worker.tick();
    }
    let worker = &mut envoy.workers[0];
    assert_eq!(worker.enforced(), Some(version));
    worker.tick();
    assert_eq!(worker.host.ticks.borrow()[&ROOT], TICK_MS);
    let poll = worker.polls().remove(0);
    assert_eq!(body(&poll)["enforced"]["policy_version"], version);
}

#[test]
fn the_other_workers_make_it_when_the_first_enforces_it() {
    let mut envoy = enforcing_the_first(2);
    let version = version_of_pieces(3);
    let first = offer(&mut envoy, version);
    let other = 1 - first;
    envoy.workers[other].tick();
    assert_ne!(envoy.workers[other].host.ticks.borrow()[&ROOT], 1);
    for _ in 0..2 {
        envoy.workers[first].tick();
    }
    assert_eq!(envoy.workers[first].enforced(), Some(version));
    for _ in 0..3 {
        assert_eq!(envoy.workers[other].enforced(), Some(1));
        envoy.workers[other].tick();
    }
    assert_eq!(envoy.workers[other].enforced(), Some(version));
    assert_eq!(envoy.workers[other].metric("shared_data_rejected"), 0);
}

#[test]
fn a_worker_that_enforces_nothing_makes_its_first_gate_at_once() {
    let mut envoy = Envoy::new(1);
    envoy.workers[0].host.reading_takes.set(1_000);
    envoy.tick();
    let version = version_of_pieces(50);
    offer(&mut envoy, version);
    assert_eq!(envoy.workers[0].enforced(), Some(version));
}

#[test]
fn a_newer_one_takes_the_place_of_the_one_that_is_being_made() {
    let mut envoy = enforcing_the_first(1);
    let (older, newer) = (version_of_pieces(20), version_of_pieces(25));
    offer(&mut envoy, older);
    let worker = &mut envoy.workers[0];
    worker.tick();
    let report = worker.reports().pop().expect("one is on its way");
    worker.answer(&report, &json!({ "bundle": sealed(&signer(), newer) }));
    for _ in 0..30 {
        worker.tick();
        assert_ne!(worker.enforced(), Some(older));
    }
    assert_eq!(worker.enforced(), Some(newer));
}

#[test]
fn a_newer_one_of_which_no_gate_can_be_made_leaves_the_making_of_the_older_one_alone() {
    let mut envoy = enforcing_the_first(1);
    let older = version_of_pieces(4);
    offer(&mut envoy, older);
    let worker = &mut envoy.workers[0];
    let report = worker.reports().pop().expect("one is on its way");
    let unusable = sealed(&signer(), version_that_fails_after(1));
    worker.answer(&report, &json!({ "bundle": unusable }));
    assert_eq!(worker.metric("policy_refused"), 1);
    for _ in 0..3 {
        worker.tick();
    }
    assert_eq!(worker.enforced(), Some(older));
}

#[test]
fn whatever_stands_in_shared_data_under_its_number_is_replaced_when_it_is_made() {
    let mut envoy = enforcing_the_first(2);
    let version = version_of_pieces(3);
    offer(&mut envoy, version);
    // While it is being made: before, the worker with the lease would put it right.
    envoy.tamper("/bundle", b"junk");
    envoy.tamper("/head", format!("{version}.0").as_bytes());
    envoy.run(3_000);
    for worker in &envoy.workers {
        assert_eq!(worker.enforced(), Some(version));
    }
}

#[test]
fn the_same_one_again_does_not_begin_anew() {
    let mut envoy = enforcing_the_first(1);
    let version = version_of_pieces(4);
    offer(&mut envoy, version);
    let worker = &mut envoy.workers[0];
    worker.tick();
    worker.tick();
    let report = worker.reports().pop().expect("one is on its way");
    worker.answer(&report, &json!({ "bundle": sealed(&signer(), version) }));
    worker.tick();
    assert_eq!(worker.enforced(), Some(version));
}

#[test]
fn one_that_fails_at_its_end_is_refused_and_the_policy_in_force_stays() {
    let mut envoy = enforcing_the_first(1);
    let version = version_that_fails_after(3);
    offer(&mut envoy, version);
    envoy.workers[0].tick();
    envoy.workers[0].tick();
    let worker = &mut envoy.workers[0];
    assert_eq!(worker.enforced(), Some(1));
    assert_eq!(worker.metric("policy_refused"), 1);
    assert!(
        worker.polls().is_empty(),
        "it is not asked for again at once"
    );
    envoy.run(2_000);
    let poll = envoy.workers[0].polls().remove(0);
    let refused = body(&poll)["refused"].to_string();
    assert!(refused.contains("thirteenth"), "{refused}");
}

#[test]
fn keys_that_have_not_signed_it_end_its_making() {
    let mut envoy = enforcing_the_first(1);
    let version = version_of_pieces(4);
    offer(&mut envoy, version);
    let other = chaperone_engine::bundle::Signer::from_seed(&[9; 32]);
    let config = parsed(&plugin_configuration(&other.public_key()));
    let worker = &mut envoy.workers[0];
    worker.node.configure(&worker.host, ROOT, config);
    for _ in 0..10 {
        worker.tick();
        assert_eq!(worker.enforced(), None);
    }
}
