//! What Envoy does on each status that a callback can return: the facts at the head of the filter's
//! `host` module, asked of the oldest supported Envoy and of the newest one, so that an Envoy that
//! behaves otherwise is noticed here first. `filter/sdk/examples/statuses.rs` is the module that
//! asks; statuses are written as the host's numbers, as there.
//!
//! One thing is not tried, because Envoy does not survive it: reading or changing a body from a
//! tick, where the last body callback returned 2 or 3, follows a pointer to a buffer that is gone.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chaperone_tests::client::{Answer, Call, Client, Failed, Http};
use chaperone_tests::envoy::Envoy;
use chaperone_tests::script::{Gate, Script};
use chaperone_tests::upstream::{Reply, Seen, Upstream};
use chaperone_tests::{places, wait};
use hyper::HeaderMap;
use hyper::header::HeaderValue;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// `per_connection_buffer_limit_bytes`.
const LIMIT: usize = 256 * 1024;
/// A piece of a body that arrives on its own.
const PIECE: usize = 4096;
/// Far more than Envoy buffers.
const LONG: usize = 8 << 20;
/// How much of a long body Envoy takes before its sender has to wait: it may be one read over its
/// limit.
const TAKEN_AT_MOST: u64 = 3 * LIMIT as u64;

const HTTPS: [Http; 2] = [Http::One, Http::Two];
const WAYS: [Way; 2] = [Way::Request, Way::Response];

/// Whose callbacks are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Request,
    Response,
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
        }
    }
}

/// The filter's profiles, which differ in `allow_on_headers_stop_iteration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Profile {
    /// Unset.
    Headers,
    /// `true`
    Body,
}

/// The body on the way that is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// Three pieces, the second and third behind gates.
    Pieces,
    /// The same, and trailers.
    Trailers,
    Long,
}

impl Body {
    fn bytes(self) -> Vec<u8> {
        let size = match self {
            Self::Pieces | Self::Trailers => 3 * PIECE,
            Self::Long => LONG,
        };
        // Every eight bytes say where they belong.
        (0..size / 8)
            .flat_map(|place| format!("{place:08}").into_bytes())
            .collect()
    }

    fn script(self, gates: &[Gate]) -> Script {
        let bytes = self.bytes();
        if self == Self::Long {
            // In two, so that no `content-length` tells Envoy what will come.
            return Script::new().cut(&bytes, LONG / 2);
        }
        let mut script = Script::new().chunk(bytes[..PIECE].to_vec());
        for (gate, piece) in gates.iter().zip(bytes[PIECE..].chunks(PIECE)) {
            script = script.wait(gate).chunk(piece.to_vec());
        }
        if self == Self::Trailers {
            let trailers = [("x-end".parse().unwrap(), HeaderValue::from_static("yes"))];
            script = script.trailers(HeaderMap::from_iter(trailers));
        }
        script
    }
}

/// An Envoy with the probe, before an upstream.
struct Lab {
    envoy: Envoy,
    upstream: Upstream,
    headers: SocketAddr,
    body: SocketAddr,
    asked: Cell<usize>,
}

/// Asks every supported Envoy.
async fn everywhere(facts: impl AsyncFn(&Lab)) {
    let ask = async |binary: PathBuf| {
        let upstream = Upstream::start().await;
        let envoy = Envoy::start_with(&binary, 1, configuration(upstream.address())).await;
        let lab = Lab {
            headers: envoy.listener("headers").await,
            body: envoy.listener("body").await,
            envoy,
            upstream,
            asked: Cell::new(0),
        };
        facts(&lab).await;
        lab.envoy.admin.assert_no_traps().await;
    };
    tokio::join!(ask(places::oldest_envoy()), ask(places::envoy()));
}

impl Lab {
    /// Sends a request whose callbacks return as `script` says.
    async fn ask(
        &self,
        way: Way,
        http: Http,
        profile: Profile,
        body: Body,
        script: &str,
    ) -> Exchange<'_> {
        self.asked.set(self.asked.get() + 1);
        let name = self.asked.get().to_string();
        let (address, control) = match profile {
            Profile::Headers => (self.headers, self.body),
            Profile::Body => (self.body, self.headers),
        };
        let cluster = match http {
            Http::One => "one",
            Http::Two => "two",
        };
        let stat = match (way, profile) {
            (Way::Request, Profile::Headers) => "http.headers.downstream_cx_rx_bytes_total".into(),
            (Way::Request, Profile::Body) => "http.body.downstream_cx_rx_bytes_total".into(),
            (Way::Response, _) => format!("cluster.{cluster}.upstream_cx_rx_bytes_total"),
        };
        let gates = vec![Gate::closed(), Gate::closed()];
        let target = format!("/{cluster}/{name}");
        let call = match way {
            Way::Request => {
                self.upstream.always(Reply::ok("fine"));
                Call::post(&target, body.script(&gates))
            }
            Way::Response => {
                self.upstream.always(Reply::ok(body.script(&gates)));
                Call::get(&target)
            }
        };
        let call = call
            .header("x-name", &name)
            .header("x-probe", script)
            .header("te", "trailers");
        let stat_before = self.envoy.admin.stat(&stat).await;
        let client = tokio::spawn(async move { Client::new(address, http).send(call).await });
        Exchange {
            lab: self,
            what: format!("{way:?}, HTTP {http:?}, {profile:?}, {body:?}: {script}"),
            probe: format!("/probe/{name}"),
            target,
            way,
            sent: body.bytes(),
            gates,
            stat,
            stat_before,
            control,
            client,
        }
    }
}

/// One request through the probe.
struct Exchange<'a> {
    lab: &'a Lab,
    /// For messages.
    what: String,
    target: String,
    probe: String,
    way: Way,
    sent: Vec<u8>,
    gates: Vec<Gate>,
    /// Counts what Envoy reads from the sender.
    stat: String,
    stat_before: u64,
    /// Where the probe is asked: the other listener, whose bytes are counted elsewhere.
    control: SocketAddr,
    client: JoinHandle<Result<Answer, Failed>>,
}

/// How an exchange ended: what came out on the other side.
struct Ended {
    status: u16,
    body: Vec<u8>,
    trailers: usize,
}

impl Exchange<'_> {
    /// What the probe wrote down.
    async fn lines(&self) -> Vec<String> {
        let answer = Client::http1(self.control)
            .send(Call::get(&self.probe))
            .await;
        let answer = answer.unwrap_or_else(|e| panic!("{}: the probe is gone: {e}", self.what));
        answer.text().lines().map(str::to_owned).collect()
    }

    /// Has the probe do something from its next tick, and gives what came of it.
    async fn order(&self, verb: &str) -> String {
        let before = self.lines().await.len();
        let order = format!("{verb} {}", self.way.name());
        let call = Call::get(&self.probe).header("x-order", &order);
        Client::http1(self.control).send(call).await.unwrap();
        let done = format!("tick: {order}: ");
        wait::until(&format!("{}: {order}", self.what), async || {
            let lines = self.lines().await;
            let line = lines[before..].iter().find_map(|l| l.strip_prefix(&done));
            line.map(str::to_owned)
        })
        .await
    }

    async fn go_on(&self) {
        assert_eq!(self.order("continue").await, "ok", "{}", self.what);
    }

    /// Bytes that Envoy has read from the sender.
    async fn taken(&self) -> u64 {
        self.lab.envoy.admin.stat(&self.stat).await - self.stat_before
    }

    async fn until_taken(&self, bytes: usize) {
        let what = format!("{}: Envoy to take {bytes} bytes", self.what);
        wait::until(&what, async || {
            (self.taken().await >= bytes as u64).then_some(())
        })
        .await;
    }

    /// Lets the pieces come, each after Envoy has taken the one before.
    async fn all_pieces(&self) {
        for (before, gate) in self.gates.iter().enumerate() {
            self.until_taken((before + 1) * PIECE).await;
            gate.open();
        }
        self.until_taken(self.sent.len()).await;
        self.quiet().await;
    }

    /// Waits until nothing more happens: that something does not come is seen by waiting only.
    async fn quiet(&self) {
        let mut last = (self.taken().await, self.lines().await);
        let mut alike = 0;
        while alike < 10 {
            tokio::time::sleep(Duration::from_millis(15)).await;
            let now = (self.taken().await, self.lines().await);
            alike = if now == last { alike + 1 } else { 0 };
            last = now;
        }
    }

    /// Of each body callback: how many bytes it saw, and at which place of the body these begin.
    async fn seen_by_callbacks(&self) -> Vec<(usize, usize)> {
        let callback = format!("{}-body ", self.way.name());
        let lines = self.lines().await;
        let seen = lines.iter().filter_map(|line| line.strip_prefix(&callback));
        seen.filter_map(|line| {
            let (size, rest) = line.split_once(' ')?;
            let place: usize = rest.split(' ').next()?.parse().ok()?;
            Some((size.parse().ok()?, place * 8))
        })
        .collect()
    }

    /// How often a callback came.
    async fn times(&self, callback: &str) -> usize {
        let name = format!("{}-{callback}", self.way.name());
        let lines = self.lines().await;
        lines.iter().filter(|line| line.starts_with(&name)).count()
    }

    fn upstream(&self) -> Option<Seen> {
        self.lab.upstream.seen_at(&self.target).pop()
    }

    /// Nothing has come out on the other side, headers neither.
    fn assert_held(&self) {
        let held = match self.way {
            Way::Request => self.upstream().is_none(),
            Way::Response => !self.client.is_finished(),
        };
        assert!(held, "{}: it went on", self.what);
    }

    /// The sender had to wait before Envoy had taken much more than its limit.
    async fn assert_slowed(&self) {
        self.quiet().await;
        let taken = self.taken().await;
        assert!(taken < TAKEN_AT_MOST, "{}: {taken} bytes", self.what);
    }

    async fn ended(self) -> Ended {
        let what = format!("{}: an answer", self.what);
        wait::until(&what, async || self.client.is_finished().then_some(())).await;
        let request = self.upstream();
        let answer = self.client.await.unwrap();
        let answer = answer.unwrap_or_else(|e| panic!("{}: no whole answer: {e}", self.what));
        let (body, trailers) = match (self.way, request) {
            (Way::Response, _) => (answer.body(), answer.trailers.len()),
            (Way::Request, Some(seen)) => (seen.body, seen.trailers.len()),
            (Way::Request, None) => (Vec::new(), 0),
        };
        Ended {
            status: answer.status,
            body,
            trailers,
        }
    }

    async fn assert_whole(self) {
        let (what, sent) = (self.what.clone(), self.sent.clone());
        let ended = self.ended().await;
        let bytes = ended.body.len();
        assert!(
            ended.status == 200 && ended.body == sent,
            "{what}: {bytes} bytes"
        );
    }

    /// The headers arrived, and of the body nothing.
    async fn assert_lost(self) {
        let what = self.what.clone();
        let ended = self.ended().await;
        assert_eq!((ended.status, ended.body.len()), (200, 0), "{what}");
    }

    /// Envoy answered by itself: the body was more than it may buffer.
    async fn assert_too_large(self) {
        let (what, way) = (self.what.clone(), self.way);
        let ended = self.ended().await;
        let expected = match way {
            Way::Request => 413,
            Way::Response => 500,
        };
        assert_eq!(ended.status, expected, "{what}");
    }
}

#[tokio::test]
async fn held_headers_hold_the_body_without_a_callback_and_go_on_with_all_of_it() {
    use Profile::{Body as WithOption, Headers as Without};
    everywhere(async |lab| {
        for way in WAYS {
            for http in HTTPS {
                for (profile, status) in [
                    (Without, 1),
                    (Without, 3),
                    (Without, 4),
                    (WithOption, 3),
                    (WithOption, 4),
                ] {
                    let script = format!("{}-headers={status}", way.name());
                    let exchange = lab.ask(way, http, profile, Body::Pieces, &script).await;
                    exchange.all_pieces().await;
                    exchange.assert_held();
                    let what = exchange.what.clone();
                    assert_eq!(exchange.times("body").await, 0, "{what}");
                    exchange.go_on().await;
                    exchange.quiet().await;
                    assert_eq!(
                        exchange.seen_by_callbacks().await[0],
                        (3 * PIECE, 0),
                        "{what}"
                    );
                    exchange.assert_whole().await;
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_hold_may_end_while_the_body_is_still_coming() {
    everywhere(async |lab| {
        for http in HTTPS {
            for (profile, status) in [(Profile::Headers, 1), (Profile::Body, 4)] {
                let script = format!("request-headers={status}");
                let exchange = lab
                    .ask(Way::Request, http, profile, Body::Pieces, &script)
                    .await;
                exchange.until_taken(PIECE).await;
                exchange.go_on().await;
                wait::until(&format!("{}: the first piece", exchange.what), async || {
                    (exchange.upstream()?.body.len() == PIECE).then_some(())
                })
                .await;
                exchange.all_pieces().await;
                exchange.assert_whole().await;
            }
        }
    })
    .await;
}

/// On 1.36.2 Continue after status 1 and a resume from a tick loses the callback's piece; these
/// ways lose none.
#[tokio::test]
async fn a_body_that_was_resumed_from_a_tick_is_whole_if_it_waited_by_watermark_or_stops_again() {
    everywhere(async |lab| {
        for way in WAYS {
            for http in HTTPS {
                let name = way.name();
                for (of_body, resumes) in [("2,0", 1), ("1", 2), ("1,2,0", 2)] {
                    let script = format!("{name}-headers=1 {name}-body={of_body}");
                    let exchange = lab
                        .ask(way, http, Profile::Body, Body::Pieces, &script)
                        .await;
                    exchange.until_taken(PIECE).await;
                    wait::until(&format!("{}: the first piece", exchange.what), async || {
                        (exchange.times("body").await > 0).then_some(())
                    })
                    .await;
                    exchange.go_on().await;
                    if resumes == 2 && of_body != "1" {
                        // The second piece stops by watermark, and a tick lets it go.
                        exchange.gates[0].open();
                        wait::until(&format!("{}: the second", exchange.what), async || {
                            (exchange.times("body").await > 1).then_some(())
                        })
                        .await;
                        exchange.go_on().await;
                    }
                    exchange.all_pieces().await;
                    if of_body == "1" {
                        exchange.go_on().await;
                    }
                    exchange.assert_whole().await;
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn held_headers_slow_the_sender_of_a_long_body_down_unless_the_body_is_to_be_buffered() {
    everywhere(async |lab| {
        for way in WAYS {
            for http in HTTPS {
                for (profile, status) in [(Profile::Headers, 1), (Profile::Body, 4)] {
                    let script = format!("{}-headers={status}", way.name());
                    let exchange = lab.ask(way, http, profile, Body::Long, &script).await;
                    exchange.assert_slowed().await;
                    exchange.assert_held();
                    exchange.go_on().await;
                    exchange.assert_whole().await;
                }
                let script = format!("{}-headers=3", way.name());
                let exchange = lab.ask(way, http, Profile::Body, Body::Long, &script).await;
                exchange.assert_too_large().await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn with_the_option_headers_stay_while_body_callbacks_see_totals_or_pieces() {
    let totals = [(PIECE, 0), (2 * PIECE, 0), (3 * PIECE, 0)];
    let pieces = [(PIECE, 0), (PIECE, PIECE), (PIECE, 2 * PIECE)];
    everywhere(async |lab| {
        for way in WAYS {
            for http in HTTPS {
                for (status, expected) in [(1, totals), (2, pieces), (3, pieces)] {
                    let name = way.name();
                    let script = format!("{name}-headers=1 {name}-body={status}");
                    let exchange = lab
                        .ask(way, http, Profile::Body, Body::Pieces, &script)
                        .await;
                    exchange.all_pieces().await;
                    exchange.assert_held();
                    let seen = exchange.seen_by_callbacks().await;
                    assert_eq!(seen[..3], expected, "{}", exchange.what);
                    exchange.go_on().await;
                    if status == 3 {
                        exchange.assert_lost().await;
                    } else {
                        exchange.assert_whole().await;
                    }
                }
                // Continue from a body callback lets the headers go.
                let script = format!("{}-headers=1", way.name());
                let exchange = lab
                    .ask(way, http, Profile::Body, Body::Pieces, &script)
                    .await;
                exchange.all_pieces().await;
                exchange.assert_whole().await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_long_body_is_refused_slowed_down_or_taken_without_end_by_the_status_of_its_callbacks() {
    everywhere(async |lab| {
        for way in WAYS {
            for http in HTTPS {
                let name = way.name();
                let ask = async |script: String| {
                    lab.ask(way, http, Profile::Body, Body::Long, &script).await
                };
                let buffered = ask(format!("{name}-headers=1 {name}-body=1")).await;
                buffered.assert_too_large().await;

                let slowed = ask(format!("{name}-headers=1 {name}-body=2")).await;
                slowed.assert_slowed().await;
                slowed.assert_held();

                let endless = ask(format!("{name}-headers=1 {name}-body=3")).await;
                endless.until_taken(LONG).await;
                endless.quiet().await;
                endless.assert_held();
                endless.go_on().await;
                endless.assert_lost().await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_long_body_goes_on_piece_by_piece_from_ticks_behind_watermarks() {
    everywhere(async |lab| {
        for way in WAYS {
            for http in HTTPS {
                let script = format!("{}-body=2g", way.name());
                let exchange = lab.ask(way, http, Profile::Body, Body::Long, &script).await;
                exchange.assert_whole().await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_callback_takes_or_changes_is_as_it_left_it_whatever_its_status() {
    everywhere(async |lab| {
        for way in WAYS {
            for http in HTTPS {
                let name = way.name();
                // Into memory and back again, which an unbuffered body needs.
                let script = format!("{name}-body=3t,3t,0p,0");
                let exchange = lab
                    .ask(way, http, Profile::Body, Body::Pieces, &script)
                    .await;
                exchange.all_pieces().await;
                exchange.assert_whole().await;

                let script = format!("{name}-body=2e,0");
                let exchange = lab
                    .ask(way, http, Profile::Body, Body::Pieces, &script)
                    .await;
                exchange.all_pieces().await;
                let (what, sent) = (exchange.what.clone(), exchange.sent.clone());
                let body = exchange.ended().await.body;
                assert!(body == [b"#", &sent[..]].concat(), "{what}: {}", body.len());
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_tick_can_change_a_body_that_is_buffered_and_none_behind_held_headers() {
    everywhere(async |lab| {
        for way in WAYS {
            let name = way.name();
            let script = format!("{name}-headers=1 {name}-body=1");
            let exchange = lab
                .ask(way, Http::One, Profile::Body, Body::Pieces, &script)
                .await;
            exchange.all_pieces().await;
            assert_eq!(exchange.order("edit").await, "ok", "{}", exchange.what);
            exchange.go_on().await;
            let (what, sent) = (exchange.what.clone(), exchange.sent.clone());
            let body = exchange.ended().await.body;
            assert!(body == [b"#", &sent[..]].concat(), "{what}: {}", body.len());

            let script = format!("{name}-headers=4");
            let exchange = lab
                .ask(way, Http::One, Profile::Body, Body::Pieces, &script)
                .await;
            exchange.all_pieces().await;
            assert_eq!(exchange.order("read").await, "0 ", "{}", exchange.what);
            assert_eq!(
                exchange.order("edit").await,
                "BadArgument",
                "{}",
                exchange.what
            );
            exchange.go_on().await;
            exchange.assert_whole().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_is_lost_when_its_callback_stops_inside_of_a_resume_and_the_trailers_go_on() {
    everywhere(async |lab| {
        for way in WAYS {
            for (profile, status) in [
                (Profile::Headers, 1),
                (Profile::Body, 3),
                (Profile::Body, 4),
            ] {
                for of_body in [1, 2] {
                    let name = way.name();
                    let script = format!("{name}-headers={status} {name}-body={of_body}");
                    let lost = lab
                        .ask(way, Http::Two, profile, Body::Trailers, &script)
                        .await;
                    lost.all_pieces().await;
                    lost.go_on().await;
                    lost.quiet().await;
                    assert_eq!(lost.times("trailers").await, 2, "{}", lost.what);
                    lost.assert_lost().await;

                    // Trailers that stop, too, keep it.
                    let script = format!("{script} {name}-trailers=1");
                    let kept = lab
                        .ask(way, Http::Two, profile, Body::Trailers, &script)
                        .await;
                    kept.all_pieces().await;
                    kept.go_on().await;
                    kept.quiet().await;
                    assert_eq!(kept.times("trailers").await, 1, "{}", kept.what);
                    kept.go_on().await;
                    kept.assert_whole().await;
                }
                // And they can still change it, if it waits within reach.
                let name = way.name();
                let script = format!("{name}-headers={status} {name}-body=1 {name}-trailers=1e");
                let changed = lab
                    .ask(way, Http::Two, profile, Body::Trailers, &script)
                    .await;
                changed.all_pieces().await;
                changed.go_on().await;
                changed.quiet().await;
                changed.go_on().await;
                let (what, sent) = (changed.what.clone(), changed.sent.clone());
                let ended = changed.ended().await;
                let bytes = ended.body.len();
                assert!(ended.body == [b"#", &sent[..]].concat(), "{what}: {bytes}");
                assert_eq!(ended.trailers, 1, "{what}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn trailers_let_a_body_go_that_stopped_before_they_came() {
    everywhere(async |lab| {
        for way in WAYS {
            for of_body in [1, 2] {
                let name = way.name();
                let script = format!("{name}-body={of_body}");
                let exchange = lab
                    .ask(way, Http::Two, Profile::Body, Body::Trailers, &script)
                    .await;
                exchange.all_pieces().await;
                let (what, sent) = (exchange.what.clone(), exchange.sent.clone());
                let ended = exchange.ended().await;
                assert!(ended.body == sent, "{what}: {}", ended.body.len());
                assert_eq!(ended.trailers, 1, "{what}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn continue_and_end_stream_is_continue() {
    everywhere(async |lab| {
        for way in WAYS {
            for http in HTTPS {
                let script = format!("{}-headers=2", way.name());
                let exchange = lab
                    .ask(way, http, Profile::Body, Body::Pieces, &script)
                    .await;
                exchange.all_pieces().await;
                exchange.assert_whole().await;
            }
        }
    })
    .await;
}

/// Two listeners, one for each profile, and a cluster for each HTTP.
fn configuration(upstream: SocketAddr) -> Value {
    let cluster = |name: &str, protocol: Value| {
        json!({
            "name": name,
            "type": "STATIC",
            "per_connection_buffer_limit_bytes": LIMIT,
            "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": protocol,
            }},
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {
                "address": address(upstream),
            }}]}]},
        })
    };
    // A stream that waits must not take the window of all streams of its connection.
    let windows = json!({
        "initial_stream_window_size": 65_536,
        "initial_connection_window_size": 2 * LONG,
    });
    let listener = |name: &str, allow: Option<bool>| {
        json!({
            "name": name,
            "address": address(SocketAddr::from(([127, 0, 0, 1], 0))),
            "per_connection_buffer_limit_bytes": LIMIT,
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    "stat_prefix": name,
                    "http2_protocol_options": windows,
                    "http_filters": [probe(name, allow), {
                        "name": "envoy.filters.http.router",
                        "typed_config": {
                            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                        },
                    }],
                    "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                        {"match": {"prefix": "/one/"}, "route": {"cluster": "one", "timeout": "0s"}},
                        {"match": {"prefix": "/two/"}, "route": {"cluster": "two", "timeout": "0s"}},
                    ]}]},
                },
            }]}],
        })
    };
    json!({"static_resources": {
        "listeners": [listener("headers", None), listener("body", Some(true))],
        "clusters": [
            cluster("one", json!({"http_protocol_options": {}})),
            cluster("two", json!({"http2_protocol_options": windows})),
        ],
    }})
}

fn probe(listener: &str, allow_on_headers_stop_iteration: Option<bool>) -> Value {
    json!({
        "name": "probe",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": listener,
                "root_id": listener,
                "allow_on_headers_stop_iteration": allow_on_headers_stop_iteration,
                // One VM for both: a request to either listener can ask about streams of the other.
                "vm_config": {
                    "vm_id": "probe",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": places::probe_wasm()}},
                },
            },
        },
    })
}

fn address(of: SocketAddr) -> Value {
    json!({"socket_address": {"address": of.ip().to_string(), "port_value": of.port()}})
}
