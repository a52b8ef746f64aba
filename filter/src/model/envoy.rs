//! What Envoy does with one stream.

use chaperone_engine::policy::Direction;

use super::control_plane::{ControlPlane, Mood};
use super::world::{NOW, configuration, token};
use crate::host::fake::{FakeHost, FakeStream, Response};
use crate::host::{ContextId, Headers, Host as _};
use crate::stream::Flow;
use crate::worker::Worker;

const ROOT: ContextId = ContextId(1);
const STREAM: ContextId = ContextId(2);

/// What came out on one side.
#[derive(Debug, Default, Clone)]
pub(super) struct Seen {
    pub(super) headers: Option<Headers>,
    pub(super) body: Vec<u8>,
    pub(super) ended: bool,
}

/// A frame behind the headers.
#[derive(Debug, Clone)]
enum Frame {
    Data(Vec<u8>, bool),
    Trailers,
}

/// One direction's place in the filter chain.
#[derive(Debug, Default)]
struct Side {
    headers_held: bool,
    /// Everything is held in front of the filter ("headers" profile).
    stopped_all: bool,
    waiting: Vec<Frame>,
    /// What the filter stopped and no callback will see again.
    kept: Vec<u8>,
    /// What the filter stopped and the next callback will see.
    buffer: Vec<u8>,
    /// The filter's last body callback returned Pause.
    buffering: bool,
    /// The filter's last body or trailers callback stopped.
    stopped: bool,
    /// Released by a resume while `buffering`: 1.36.2 loses the next piece of data if its callback
    /// continues.
    loses_next: bool,
    trailers_held: bool,
    ended: bool,
    began: bool,
}

/// One Envoy with one stream.
pub(super) struct Envoy {
    pub(super) worker: Worker<FakeHost>,
    pub(super) plane: ControlPlane,
    body_profile: bool,
    request: Side,
    response: Side,
    pub(super) upstream: Seen,
    pub(super) downstream: Seen,
    /// An answer of our own has gone out.
    pub(super) answer: Option<Response>,
    /// How often a stream was resumed.
    pub(super) resumes_done: usize,
    pub(super) over: bool,
    /// The filter has let the request through.
    pub(super) was_open: bool,
}

impl Envoy {
    pub(super) fn new(profile: &str) -> Self {
        let host = FakeHost::default();
        host.now.set(NOW);
        let mut worker = Worker::new(host);
        assert!(worker.configure(ROOT, &configuration(profile)));
        worker
            .host()
            .streams
            .borrow_mut()
            .insert(STREAM, FakeStream::default());
        worker.stream_created(STREAM, ROOT);
        Self {
            worker,
            plane: ControlPlane::default(),
            body_profile: profile == "body",
            request: Side::default(),
            response: Side::default(),
            upstream: Seen::default(),
            downstream: Seen::default(),
            answer: None,
            resumes_done: 0,
            over: false,
            was_open: false,
        }
    }

    /// The request's headers, where no callback has brought them.
    pub(super) fn know_request(&self, headers: Headers) {
        self.fake(|s| s.request_headers = headers);
    }

    /// How many events of this stage the control plane has, once it has all.
    pub(super) fn count(&mut self, stage: &str) -> usize {
        for _ in 0..8 {
            let now = self.worker.host().now.get() + 10_000;
            self.worker.host().now.set(now);
            self.worker.tick(ROOT);
            let calls = self.worker.host().take_calls();
            self.plane.receive(calls);
            for (call, answer) in self.plane.answer(Mood::Pending) {
                self.worker.call_answered(ROOT, call, answer);
            }
        }
        self.plane
            .events
            .iter()
            .filter(|event| event["stage"] == stage)
            .count()
    }

    /// Headers of a request by somebody in `group`.
    pub(super) fn request_for(path: &str, group: &str) -> Headers {
        [
            (":method", "POST"),
            (":path", path),
            (":authority", "api.example.com"),
            ("authorization", &format!("Bearer {}", token(group))),
            ("content-length", "99"),
        ]
        .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
        .to_vec()
    }

    /// The next stream of the same worker.
    pub(super) fn again(&mut self) {
        assert!(self.over, "one stream at a time");
        let host = self.worker.host();
        host.streams
            .borrow_mut()
            .insert(STREAM, FakeStream::default());
        self.worker.stream_created(STREAM, ROOT);
        (self.request, self.response) = (Side::default(), Side::default());
        (self.upstream, self.downstream) = (Seen::default(), Seen::default());
        self.answer = None;
        self.resumes_done = 0;
        (self.over, self.was_open) = (false, false);
    }

    fn fake<T>(&self, f: impl FnOnce(&mut FakeStream) -> T) -> T {
        f(self
            .worker
            .host()
            .streams
            .borrow_mut()
            .get_mut(&STREAM)
            .unwrap())
    }

    fn enter(&self) {
        self.worker.host().enter_stream(STREAM).unwrap();
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }

    fn can_send(&self, direction: Direction) -> bool {
        let side = match direction {
            Direction::Request => &self.request,
            Direction::Response => &self.response,
        };
        side.began && !side.ended && !self.over
    }

    // === what the network brings ===

    /// Whether the stream still took them.
    pub(super) fn headers(&mut self, direction: Direction, headers: Headers, end: bool) -> bool {
        let allowed = direction == Direction::Request || self.upstream.headers.is_some();
        if self.side(direction).began || self.over || !allowed {
            return false;
        }
        self.side(direction).began = true;
        self.side(direction).ended = end;
        self.fake(|s| match direction {
            Direction::Request => s.request_headers = headers,
            Direction::Response => s.response_headers = headers,
        });
        self.enter();
        let flow = self.worker.headers(STREAM, direction, end);
        self.check(direction, flow);
        self.side(direction).headers_held = true;
        match flow {
            Flow::Continue => self.pass_headers(direction),
            Flow::Hold => self.side(direction).stopped_all = true,
            Flow::Pause => self.side(direction).stopped_all = !self.body_profile,
        }
        self.after_callback();
        true
    }

    /// Whether upstream has answered.
    pub(super) fn has_response(&self) -> bool {
        self.response.began
    }

    /// Whether the stream still took it.
    pub(super) fn data(&mut self, direction: Direction, bytes: &[u8], end: bool) -> bool {
        if !self.can_send(direction) {
            return false;
        }
        self.side(direction).ended = end;
        self.frame(direction, Frame::Data(bytes.to_vec(), end));
        true
    }

    pub(super) fn trailers(&mut self, direction: Direction) {
        if !self.can_send(direction) {
            return;
        }
        self.side(direction).ended = true;
        self.frame(direction, Frame::Trailers);
    }

    fn frame(&mut self, direction: Direction, frame: Frame) {
        if self.side(direction).stopped_all {
            self.side(direction).waiting.push(frame);
            return;
        }
        match frame {
            Frame::Data(bytes, end) => self.data_callback(direction, &bytes, end),
            Frame::Trailers => self.trailers_callback(direction),
        }
        self.after_callback();
    }

    fn data_callback(&mut self, direction: Direction, bytes: &[u8], end: bool) {
        let side = self.side(direction);
        let loses = std::mem::take(&mut side.loses_next);
        let mut buffer = std::mem::take(&mut side.buffer);
        buffer.extend_from_slice(bytes);
        let size = buffer.len();
        self.put_buffer(direction, buffer);
        self.enter();
        let flow = self.worker.body(STREAM, direction, size, end);
        self.check(direction, flow);
        let buffer = self.take_buffer(direction);
        let side = self.side(direction);
        side.buffering = flow == Flow::Pause;
        side.stopped = flow != Flow::Continue;
        match flow {
            Flow::Hold => side.kept.extend(buffer),
            Flow::Continue if loses => {}
            _ => side.buffer = buffer,
        }
        if flow == Flow::Continue {
            // Continue from any body callback releases held headers as well.
            self.pass_headers(direction);
            self.pass_buffer(direction, end);
        }
    }

    fn trailers_callback(&mut self, direction: Direction) {
        // Where the last body callback paused, the buffer can still be edited.
        let (buffering, buffer) = {
            let side = self.side(direction);
            (side.buffering, std::mem::take(&mut side.buffer))
        };
        self.put_buffer(direction, buffer);
        self.out_of_reach(direction, !buffering);
        self.enter();
        let flow = self.worker.trailers(STREAM, direction);
        self.check(direction, flow);
        let buffer = self.take_buffer(direction);
        let side = self.side(direction);
        side.buffer = buffer;
        side.stopped = flow != Flow::Continue;
        if flow == Flow::Continue {
            self.pass_headers(direction);
            self.pass_buffer(direction, true);
        } else {
            side.trailers_held = true;
        }
    }

    // === what the filter's root brings ===

    /// Time passes, and the control plane answers what it can.
    pub(super) fn tick(&mut self, millis: u64, mood: Mood) {
        if self.over {
            return;
        }
        let now = self.worker.host().now.get() + millis;
        self.worker.host().now.set(now);
        self.lend_buffers();
        self.worker.tick(ROOT);
        self.settle();
        if self.over {
            return;
        }
        let calls = self.worker.host().take_calls();
        self.plane.receive(calls);
        for (call, answer) in self.plane.answer(mood) {
            if !self.over {
                self.lend_buffers();
            }
            self.worker.call_answered(ROOT, call, answer);
            self.settle();
        }
    }

    fn settle(&mut self) {
        if !self.over {
            self.request.buffer = self.take_buffer(Direction::Request);
            self.response.buffer = self.take_buffer(Direction::Response);
            self.after_callback();
        }
    }

    /// From a tick a body can be changed that a body callback has paused, and no other touched.
    fn lend_buffers(&mut self) {
        for direction in [Direction::Request, Direction::Response] {
            let side = self.side(direction);
            let (buffering, buffer) = (side.buffering, std::mem::take(&mut side.buffer));
            self.put_buffer(direction, buffer);
            self.out_of_reach(direction, !buffering);
        }
    }

    fn out_of_reach(&self, direction: Direction, is: bool) {
        self.fake(|s| {
            s.out_of_reach.retain(|d| *d != direction);
            if is {
                s.out_of_reach.push(direction);
            }
        });
    }

    // === the end ===

    /// The stream ends, for whatever reason.
    pub(super) fn end(&mut self) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        self.enter();
        self.worker.log(STREAM);
        self.worker.stream_deleted(STREAM);
        self.worker.host().streams.borrow_mut().remove(&STREAM);
    }

    /// What Envoy does once a callback has returned: resume, answer, reset.
    fn after_callback(&mut self) {
        self.was_open |= self.worker.is_open(STREAM);
        if self.over {
            return;
        }
        let (answers, resumed, reset) =
            self.fake(|s| (s.responses.clone(), std::mem::take(&mut s.resumed), s.reset));
        assert!(answers.len() <= 1, "two answers: Envoy can hang");
        if let Some(answer) = answers.first()
            && self.answer.is_none()
        {
            self.local_reply(answer.clone());
            return;
        }
        if reset && !self.over {
            self.end();
            return;
        }
        for direction in resumed {
            self.resumes_done += 1;
            assert!(self.answer.is_none(), "resumed after an answer");
            self.resume(direction);
        }
    }

    fn resume(&mut self, direction: Direction) {
        let side = self.side(direction);
        assert!(
            side.headers_held || side.stopped,
            "resumed, and nothing was held"
        );
        side.stopped = false;
        self.pass_headers(direction);
        if std::mem::take(&mut self.side(direction).stopped_all) {
            // What was held comes as one piece of data, then the trailers.
            let (mut held, mut ended, mut trailers) = (None, false, false);
            for frame in std::mem::take(&mut self.side(direction).waiting) {
                match frame {
                    Frame::Data(bytes, end) => {
                        held.get_or_insert_with(Vec::new).extend(bytes);
                        ended |= end;
                    }
                    Frame::Trailers => trailers = true,
                }
            }
            if let Some(bytes) = held {
                self.frame(direction, Frame::Data(bytes, ended));
            }
            if trailers && !self.over {
                let stopped = self.side(direction).stopped;
                self.frame(direction, Frame::Trailers);
                assert!(
                    self.over || !stopped || self.side(direction).trailers_held,
                    "Envoy loses the body here"
                );
            }
        } else {
            let side = self.side(direction);
            let end = side.ended;
            side.loses_next = side.buffering && !end;
            self.pass_buffer(direction, end);
        }
    }

    /// An answer before the response's headers passes through our own response callbacks.
    fn local_reply(&mut self, answer: Response) {
        assert!(
            self.downstream.headers.is_none(),
            "an answer after the response's headers resets the stream"
        );
        self.answer = Some(answer);
        self.enter();
        let flow = self.worker.headers(STREAM, Direction::Response, false);
        assert_eq!(
            flow,
            Flow::Continue,
            "our own answer must pass our own callbacks"
        );
        let flow = self.worker.body(STREAM, Direction::Response, 10, true);
        assert_eq!(flow, Flow::Continue);
        self.end();
    }

    fn check(&self, direction: Direction, flow: Flow) {
        let open = self.worker.is_open(STREAM);
        if direction == Direction::Request && !open {
            assert_ne!(flow, Flow::Continue, "no verdict, but the request goes on");
        }
    }

    fn pass_headers(&mut self, direction: Direction) {
        if !std::mem::take(&mut self.side(direction).headers_held) {
            return;
        }
        let headers = self.fake(|s| match direction {
            Direction::Request => s.request_headers.clone(),
            Direction::Response => s.response_headers.clone(),
        });
        let ended = {
            let side = self.side(direction);
            let nothing_left = side.buffer.is_empty() && side.kept.is_empty();
            side.ended && nothing_left && side.waiting.is_empty()
        };
        let seen = self.seen(direction);
        seen.headers = Some(headers);
        seen.ended = ended;
    }

    fn pass_buffer(&mut self, direction: Direction, end: bool) {
        let side = self.side(direction);
        let mut bytes = std::mem::take(&mut side.kept);
        bytes.append(&mut side.buffer);
        let seen = self.seen(direction);
        assert!(seen.headers.is_some(), "a body before its headers");
        seen.body.extend_from_slice(&bytes);
        seen.ended |= end;
    }

    fn seen(&mut self, direction: Direction) -> &mut Seen {
        match direction {
            Direction::Request => &mut self.upstream,
            Direction::Response => &mut self.downstream,
        }
    }

    fn put_buffer(&self, direction: Direction, bytes: Vec<u8>) {
        self.out_of_reach(direction, false);
        self.fake(|s| match direction {
            Direction::Request => s.request_body = bytes,
            Direction::Response => s.response_body = bytes,
        });
    }

    fn take_buffer(&self, direction: Direction) -> Vec<u8> {
        self.fake(|s| {
            std::mem::take(match direction {
                Direction::Request => &mut s.request_body,
                Direction::Response => &mut s.response_body,
            })
        })
    }
}
