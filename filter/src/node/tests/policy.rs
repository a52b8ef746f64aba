use std::rc::Rc;

use chaperone_engine::bundle::Signer;
use chaperone_engine::identity::UnknownKey;
use serde_json::json;

use super::{Envoy, body, parsed, plugin_configuration, sealed, signer};
use crate::host::{ContextId, Host as _};

/// The one worker that polls, and its poll.
fn poller(envoy: &Envoy) -> (usize, super::SentCall) {
    let mut polls: Vec<_> = envoy
        .workers
        .iter()
        .enumerate()
        .flat_map(|(at, worker)| worker.polls().into_iter().map(move |poll| (at, poll)))
        .collect();
    assert_eq!(polls.len(), 1, "one long poll for all workers");
    polls.remove(0)
}

fn publish(envoy: &mut Envoy, policy_version: u64) -> usize {
    let (at, poll) = poller(envoy);
    let answer = json!({ "bundle": sealed(&signer(), policy_version) });
    envoy.workers[at].answer(&poll, &answer);
    at
}

fn enforced(envoy: &Envoy) -> Vec<Option<u64>> {
    envoy.workers.iter().map(super::Worker::enforced).collect()
}

#[test]
fn without_a_policy_there_is_no_gate() {
    let mut envoy = Envoy::new(1);
    envoy.run(1_000);
    assert_eq!(enforced(&envoy), [None]);
}

#[test]
fn one_worker_polls_and_one_tick_later_all_enforce() {
    let mut envoy = Envoy::new(3);
    envoy.tick();
    for policy_version in [1, 2] {
        let poller = publish(&mut envoy, policy_version);
        for (at, worker) in envoy.workers.iter_mut().enumerate() {
            if at != poller {
                worker.tick();
            }
        }
        assert_eq!(enforced(&envoy), [Some(policy_version); 3]);
        envoy.run(25);
    }
}

#[test]
fn whoever_gets_a_policy_first_shares_it() {
    let mut envoy = Envoy::new(3);
    envoy.tick();
    let (poller, _) = poller(&envoy);
    let other = (poller + 1) % 3;
    let report = envoy.workers[other].reports().remove(0);
    envoy.workers[other].answer(&report, &json!({ "bundle": sealed(&signer(), 1) }));
    envoy.tick();
    assert_eq!(enforced(&envoy), [Some(1); 3]);
}

#[test]
fn a_long_poll_says_what_is_enforced_and_waits_longer_than_the_control_plane() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    publish(&mut envoy, 4);
    let (_, poll) = poller(&envoy);
    assert_eq!(body(&poll)["enforced"]["policy_version"], 4);
    let wait = body(&poll)["wait_ms"].as_u64().unwrap();
    assert!(wait <= 25_000 && u64::from(poll.timeout_ms) > wait);
}

#[test]
fn every_worker_reports_for_itself_at_once_when_it_changes_and_then_every_ten_seconds() {
    let mut envoy = Envoy::new(2);
    envoy.tick();
    for worker in &mut envoy.workers {
        let report = worker.reports().remove(0);
        assert!(body(&report).get("enforced").is_none());
        worker.answer(&report, &json!({}));
    }
    publish(&mut envoy, 1);
    envoy.run(25);
    let mut boots = Vec::new();
    for worker in &mut envoy.workers {
        let report = worker.reports().remove(0);
        assert_eq!(body(&report)["enforced"]["policy_version"], 1);
        boots.push(body(&report)["node"]["boot"].as_str().unwrap().to_owned());
        worker.answer(&report, &json!({}));
    }
    assert_ne!(boots[0], boots[1], "each worker is a node");
    envoy.run(4_000);
    assert!(
        envoy
            .workers
            .iter()
            .all(|worker| worker.reports().is_empty())
    );
    envoy.run(6_000);
    assert!(
        envoy
            .workers
            .iter()
            .all(|worker| !worker.reports().is_empty())
    );
}

#[test]
fn when_the_poller_dies_another_takes_over_within_its_lease() {
    let mut envoy = Envoy::new(3);
    envoy.run(2_000);
    let (at, _) = poller(&envoy);
    envoy.workers.remove(at);
    envoy.run(2_000);
    assert!(
        envoy.workers.iter().all(|worker| worker.polls().is_empty()),
        "the lease still runs"
    );
    envoy.run(2_500);
    publish(&mut envoy, 1);
    envoy.run(25);
    assert_eq!(enforced(&envoy), [Some(1); 2]);
}

#[test]
fn a_poller_that_shuts_down_hands_the_lease_on_at_once() {
    let mut envoy = Envoy::new(2);
    envoy.tick();
    let (at, _) = poller(&envoy);
    let mut leaving = envoy.workers.remove(at);
    leaving.node.root_done(&leaving.host, super::ROOT);
    envoy.run(1_025);
    poller(&envoy);
}

#[test]
fn a_lease_that_somebody_else_writes_does_not_keep_policy_away() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    let (_, poll) = poller(&envoy);
    envoy.workers[0].reset(&poll);
    // Written for ever: longer than any worker would.
    envoy.tamper("/lease", b"somebody 99999999999999");
    envoy.run(1_500);
    for poll in envoy.workers[0].polls() {
        envoy.workers[0].reset(&poll);
    }
    envoy.run(6_000);
    poller(&envoy);
    // Kept up as a worker would: then the status report brings the bundle.
    for _ in 0..12 {
        let until = format!("somebody {}", envoy.workers[0].host.now().0 + 3_000);
        envoy.tamper("/lease", until.as_bytes());
        for worker in &mut envoy.workers {
            for report in worker.reports() {
                worker.answer(&report, &json!({ "bundle": sealed(&signer(), 5) }));
            }
        }
        envoy.run(1_000);
    }
    assert_eq!(enforced(&envoy), [Some(5)]);
}

#[test]
fn what_the_pinned_key_did_not_sign_is_refused_and_reported() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    publish(&mut envoy, 1);
    let (_, poll) = poller(&envoy);
    let foreign = sealed(&Signer::from_seed(&[8; 32]), 9);
    envoy.workers[0].answer(&poll, &json!({ "bundle": foreign }));
    assert_eq!(enforced(&envoy), [Some(1)], "the policy in force stays");
    assert_eq!(
        envoy.workers[0].polls().len(),
        0,
        "it would come again at once"
    );
    envoy.run(2_000);
    let (_, poll) = poller(&envoy);
    assert!(
        body(&poll)["refused"]
            .as_str()
            .unwrap()
            .contains("no signature by a pinned")
    );
    assert_eq!(envoy.workers[0].metric("policy_refused"), 1);
}

#[test]
fn a_bundle_that_cannot_be_enforced_changes_nothing_and_the_next_one_does() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    publish(&mut envoy, 12);
    publish(&mut envoy, 13);
    assert_eq!(enforced(&envoy), [Some(12)]);
    envoy.run(2_000);
    publish(&mut envoy, 14);
    assert_eq!(enforced(&envoy), [Some(14)]);
    let (_, poll) = poller(&envoy);
    assert!(body(&poll).get("refused").is_none(), "that is over");
}

#[test]
fn an_older_bundle_never_comes_back_whoever_sends_it() {
    let mut envoy = Envoy::new(2);
    envoy.tick();
    publish(&mut envoy, 5);
    envoy.run(25);
    publish(&mut envoy, 4);
    assert_eq!(enforced(&envoy), [Some(5); 2]);
    // A replay through shared data, under a head that promises more.
    let old = serde_json::to_vec(&sealed(&signer(), 3)).unwrap();
    envoy.tamper("/bundle", &old);
    envoy.tamper("/head", b"9.0");
    envoy.run(100);
    assert_eq!(enforced(&envoy), [Some(5); 2]);
}

#[test]
fn shared_data_that_was_tampered_with_is_ignored_and_put_right_by_the_poller() {
    let mut envoy = Envoy::new(2);
    envoy.tick();
    publish(&mut envoy, 1);
    envoy.run(25);
    let genuine = envoy.workers[0]
        .host
        .shared(&envoy.shared_key("/bundle"))
        .unwrap()
        .0;
    let foreign = serde_json::to_vec(&sealed(&Signer::from_seed(&[8; 32]), 9)).unwrap();
    for (head, bundle) in [
        ("9.0", foreign.as_slice()),
        ("7.7", b"{}"),
        ("x", b""),
        ("0.9", b"-"),
    ] {
        envoy.tamper("/bundle", bundle);
        envoy.tamper("/head", head.as_bytes());
        envoy.run(11_000);
        assert_eq!(enforced(&envoy), [Some(1); 2]);
        assert_eq!(
            envoy.workers[0]
                .host
                .shared(&envoy.shared_key("/bundle"))
                .unwrap()
                .0,
            genuine
        );
    }
    let rejected: i64 = envoy
        .workers
        .iter()
        .map(|w| w.metric("shared_data_rejected"))
        .sum();
    assert!(
        (1..20).contains(&rejected),
        "looked at now and then, not on each tick: {rejected}"
    );
    // A worker that starts in the middle of it all gets the genuine one.
    let worker = envoy.worker();
    assert_eq!(worker.enforced(), Some(1));
}

#[test]
fn somebody_who_keeps_writing_false_policy_does_not_keep_a_worker_busy() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    publish(&mut envoy, 1);
    let foreign = serde_json::to_vec(&sealed(&Signer::from_seed(&[8; 32]), 9)).unwrap();
    for _ in 0..1_200 {
        envoy.tamper("/bundle", &foreign);
        envoy.tamper("/head", b"9.0");
        envoy.run(25);
    }
    let rejected = envoy.workers[0].metric("shared_data_rejected");
    assert!(
        (3..=10).contains(&rejected),
        "{rejected} signatures verified in half a minute"
    );
}

#[test]
fn a_vm_that_was_reloaded_enforces_what_the_others_do_before_its_first_tick() {
    let mut envoy = Envoy::new(2);
    envoy.tick();
    publish(&mut envoy, 3);
    let reloaded = envoy.worker();
    assert_eq!(reloaded.enforced(), Some(3));
}

#[test]
fn while_the_control_plane_is_away_the_policy_stays_and_is_asked_for_with_pauses() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    publish(&mut envoy, 1);
    let mut polls = 0;
    for _ in 0..60 {
        envoy.run(1_000);
        for poll in envoy.workers[0].polls() {
            polls += 1;
            envoy.workers[0].answer_with(poll.id, 503, false, b"");
        }
    }
    assert!((10..=40).contains(&polls), "{polls} polls in a minute");
    assert_eq!(enforced(&envoy), [Some(1)]);
}

#[test]
fn a_control_plane_that_answers_at_once_with_nothing_is_not_asked_in_a_tight_loop() {
    let mut envoy = Envoy::new(1);
    let mut polls = 0;
    for _ in 0..40 {
        envoy.run(25);
        for poll in envoy.workers[0].polls() {
            polls += 1;
            envoy.workers[0].answer(&poll, &json!({}));
        }
    }
    assert!((3..=6).contains(&polls), "{polls} polls in a second");
}

#[test]
fn a_bundle_in_the_configuration_is_in_force_from_the_start_and_gives_way_to_newer_ones() {
    let mut envoy = Envoy::new(1);
    // Built here, because the real gate refuses this empty policy: the node under test takes it.
    let mut config = (*parsed(&plugin_configuration(&signer().public_key()))).clone();
    let envelope = serde_json::to_vec(&sealed(&signer(), 2)).unwrap();
    let bundle = chaperone_engine::bundle::open(&envelope, &config.pinned).unwrap();
    config.bundle = Some(super::super::StartingBundle {
        envelope: envelope.into(),
        bundle,
    });
    let config = Rc::new(config);
    let worker = &mut envoy.workers[0];
    worker
        .node
        .configure(&worker.host, super::ROOT, Rc::clone(&config));
    assert_eq!(worker.enforced(), Some(2));
    envoy.tick();
    publish(&mut envoy, 3);
    let worker = &mut envoy.workers[0];
    worker.node.configure(&worker.host, ContextId(2), config);
    assert_eq!(
        worker.enforced(),
        Some(3),
        "an update with the old starting bundle changes nothing"
    );
}

#[test]
fn pinning_another_key_drops_what_that_key_did_not_sign() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    publish(&mut envoy, 7);
    let other = Signer::from_seed(&[8; 32]);
    let config = parsed(&plugin_configuration(&other.public_key()));
    let worker = &mut envoy.workers[0];
    worker.node.configure(&worker.host, super::ROOT, config);
    assert_eq!(worker.enforced(), None);
    worker.polls();
    envoy.run(30_000);
    let (_, poll) = poller(&envoy);
    envoy.workers[0].answer(&poll, &json!({ "bundle": sealed(&other, 1) }));
    assert_eq!(enforced(&envoy), [Some(1)], "its serials count from anew");
}

/// A configuration that pins these keys.
fn pinning(keys: &[&Signer]) -> Rc<super::super::Config> {
    let mut document = plugin_configuration(&signer().public_key());
    document["public_key"] = json!(null);
    let keys = keys.iter().map(|key| key.public_key().to_base64());
    document["public_keys"] = keys.collect();
    parsed(&document)
}

#[test]
fn the_signing_key_changes_without_a_moment_in_which_a_policy_is_not_in_force() {
    let (old, new) = (signer(), Signer::from_seed(&[8; 32]));
    let mut envoy = Envoy::new(2);
    envoy.tick();
    publish(&mut envoy, 7);
    envoy.run(1_000);
    let configure = |envoy: &mut Envoy, keys: &[&Signer]| {
        for worker in &mut envoy.workers {
            let config = pinning(keys);
            worker.node.configure(&worker.host, super::ROOT, config);
            worker.polls();
            worker.reports();
        }
    };
    configure(&mut envoy, &[&old, &new]);
    assert_eq!(enforced(&envoy), [Some(7), Some(7)], "both are pinned");

    // The new key signs, under a higher number: one worker is told, and the other finds it.
    envoy.run(30_000);
    let (poller, poll) = poller(&envoy);
    envoy.workers[poller].answer(&poll, &json!({ "bundle": sealed(&new, 8) }));
    envoy.run(1_000);
    assert_eq!(enforced(&envoy), [Some(8), Some(8)], "the new one signs");

    configure(&mut envoy, &[&new]);
    assert_eq!(enforced(&envoy), [Some(8), Some(8)], "the old one is gone");
    let worker = &mut envoy.workers[0];
    let old_config = pinning(&[&old]);
    worker.node.configure(&worker.host, super::ROOT, old_config);
    // What the new key signed is gone; what the old one signed last still lies in shared data.
    assert_eq!(worker.enforced(), Some(7));
}

#[test]
fn a_worker_says_which_keys_it_pins_and_says_it_at_once_when_they_change() {
    let (old, new) = (signer(), Signer::from_seed(&[8; 32]));
    let mut envoy = Envoy::new(1);
    envoy.tick();
    let pins = |envoy: &mut Envoy| {
        let worker = &mut envoy.workers[0];
        let reports = worker.reports();
        for report in &reports {
            worker.answer(report, &json!({}));
        }
        let pins = reports.iter().map(|report| body(report)["pins"].clone());
        pins.collect::<Vec<_>>()
    };
    let id = |key: &Signer| key.public_key().id();
    assert_eq!(pins(&mut envoy), [json!([id(&old)])]);
    envoy.run(25);
    assert_eq!(pins(&mut envoy), [json!(null); 0]);
    let worker = &mut envoy.workers[0];
    let config = pinning(&[&old, &new]);
    worker.node.configure(&worker.host, super::ROOT, config);
    envoy.run(25);
    assert_eq!(pins(&mut envoy), [json!([id(&old), id(&new)])]);
}

fn key(kid: &str) -> UnknownKey {
    UnknownKey {
        issuer: "https://idp.example".to_owned(),
        kid: Some(kid.to_owned()),
    }
}

fn note(envoy: &mut Envoy, at: usize, kid: &str) {
    let worker = &mut envoy.workers[at];
    let now = worker.host.now();
    worker
        .node
        .parts
        .as_mut()
        .unwrap()
        .policy
        .note_unknown_key(key(kid), now);
}

/// Unknown keys that the reports since the last time carried.
fn reported_keys(envoy: &mut Envoy, at: usize, answered: bool) -> Vec<String> {
    let mut kids = Vec::new();
    for report in envoy.workers[at].reports() {
        for key in body(&report)["unknown_keys"]
            .as_array()
            .into_iter()
            .flatten()
        {
            kids.push(key["kid"].as_str().unwrap().to_owned());
        }
        if answered {
            envoy.workers[at].answer(&report, &json!({}));
        } else {
            envoy.workers[at].reset(&report);
        }
    }
    kids
}

#[test]
fn a_worker_that_does_not_poll_reports_an_unknown_key_at_once_by_itself() {
    let mut envoy = Envoy::new(2);
    envoy.tick();
    let (poller, _) = poller(&envoy);
    let other = 1 - poller;
    reported_keys(&mut envoy, other, true);
    note(&mut envoy, other, "new-key");
    envoy.run(25);
    assert_eq!(reported_keys(&mut envoy, other, true), ["new-key"]);
}

#[test]
fn an_unknown_key_is_reported_once_and_again_after_a_while_or_when_the_report_was_lost() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    reported_keys(&mut envoy, 0, true);
    note(&mut envoy, 0, "k");
    envoy.run(25);
    assert_eq!(
        reported_keys(&mut envoy, 0, false),
        ["k"],
        "this report is lost"
    );
    envoy.run(1_000);
    assert_eq!(reported_keys(&mut envoy, 0, true), ["k"]);
    for _ in 0..29 {
        note(&mut envoy, 0, "k");
        envoy.run(1_000);
    }
    assert_eq!(reported_keys(&mut envoy, 0, true), [""; 0]);
    envoy.run(1_000);
    note(&mut envoy, 0, "k");
    envoy.run(1_000);
    assert_eq!(reported_keys(&mut envoy, 0, true), ["k"]);
}

#[test]
fn a_flood_of_made_up_keys_is_bounded_in_memory_and_in_reports() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    reported_keys(&mut envoy, 0, true);
    let (mut keys, mut reports) = (0, 0);
    for n in 0..400 {
        note(&mut envoy, 0, &format!("made-up-{n}"));
        envoy.run(25);
        let sent = envoy.workers[0].reports();
        reports += sent.len();
        for report in sent {
            keys += body(&report)["unknown_keys"].as_array().map_or(0, Vec::len);
            envoy.workers[0].answer(&report, &json!({}));
        }
    }
    assert!(
        keys <= 64 && reports <= 42,
        "{keys} keys in {reports} reports in ten seconds"
    );
}
