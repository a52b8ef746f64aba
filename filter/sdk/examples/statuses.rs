//! A probe: returns from each callback the status that a request names, and writes down what it is
//! called with. The end-to-end tests drive it to hold the promises at the head of the filter's
//! `host` module against Envoy.
//!
//! A request is probed under the name in `x-name`. `x-probe` has words like `request-body=1,2t,0`:
//! what the callback returns at its first, second and later calls, as the host's numbers; letters
//! behind a number say what a callback for a body or trailers does first:
//!
//! | letter | the callback |
//! |---|---|
//! | `t` | takes what is in the buffer into its memory |
//! | `p` | puts what it took before the buffer's bytes |
//! | `e` | puts a `#` before the buffer's bytes |
//! | `g` | asks to be continued from the next tick |
//!
//! A request for `/probe/NAME` is answered with what was written down. Its `x-order` (`VERB WAY`:
//! `continue`, `read`, `edit`; `request`, `response`) is carried out from the next tick.
#![cfg(target_arch = "wasm32")]

use std::cell::RefCell;
use std::collections::HashMap;

use chaperone_proxy_wasm::calls::{self, Buffer, Map, Way};
use chaperone_proxy_wasm::{
    DataStatus, HeadersStatus, Module, RootId, StreamId, TrailersStatus, export_module,
};

const EVERYTHING: usize = u32::MAX as usize;

struct Probe;

export_module!(Probe);

thread_local! {
    static STATE: RefCell<State> = RefCell::new(State::default());
}

#[derive(Default)]
struct State {
    ticks: bool,
    probed: HashMap<StreamId, Probed>,
    written: HashMap<String, Vec<String>>,
    orders: Vec<(String, String)>,
}

#[derive(Default)]
struct Probed {
    name: String,
    /// What each callback still has to return; the last one stays.
    steps: HashMap<String, Vec<String>>,
    taken: Vec<u8>,
}

impl State {
    fn write(&mut self, name: &str, line: String) {
        self.written.entry(name.to_owned()).or_default().push(line);
    }

    /// Writes a callback down and gives its step: the status's number and the letters behind it.
    fn called(&mut self, stream: StreamId, callback: &str, with: &str) -> (u32, String) {
        let Some(probed) = self.probed.get_mut(&stream) else {
            return (0, String::new());
        };
        let step = match probed.steps.get_mut(callback) {
            Some(steps) if steps.len() > 1 => steps.remove(0),
            Some(steps) => steps.first().cloned().unwrap_or_default(),
            None => String::new(),
        };
        let name = probed.name.clone();
        self.write(&name, format!("{callback}{with}"));
        let letters = step.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = step.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        (number.parse().unwrap_or(0), letters.to_owned())
    }

    fn body(&mut self, stream: StreamId, way: Way, size: usize, end: bool) -> DataStatus {
        let (callback, buffer) = match way {
            Way::Request => ("request-body", Buffer::RequestBody),
            Way::Response => ("response-body", Buffer::ResponseBody),
        };
        let first = calls::buffer(buffer, 0, 8).unwrap_or_default();
        let first = String::from_utf8_lossy(&first).into_owned();
        let end = if end { " end" } else { "" };
        let (status, letters) = self.called(stream, callback, &format!(" {size} {first}{end}"));
        if let Some(probed) = self.probed.get_mut(&stream) {
            for letter in letters.chars() {
                let _ = probed.act(letter, buffer, size);
            }
            if letters.contains('g') {
                let way = callback.trim_end_matches("-body");
                let order = (probed.name.clone(), format!("continue {way}"));
                self.orders.push(order);
            }
        }
        match status {
            0 => DataStatus::Continue,
            1 => DataStatus::StopIterationAndBuffer,
            2 => DataStatus::StopIterationAndWatermark,
            _ => DataStatus::StopIterationNoBuffer,
        }
    }

    fn headers(&mut self, stream: StreamId, callback: &str, end: bool) -> HeadersStatus {
        let end = if end { " end" } else { "" };
        match self.called(stream, callback, end).0 {
            0 => HeadersStatus::Continue,
            1 => HeadersStatus::StopIteration,
            2 => HeadersStatus::ContinueAndEndStream,
            3 => HeadersStatus::StopAllIterationAndBuffer,
            _ => HeadersStatus::StopAllIterationAndWatermark,
        }
    }

    fn trailers(&mut self, stream: StreamId, way: Way) -> TrailersStatus {
        let (callback, buffer) = match way {
            Way::Request => ("request-trailers", Buffer::RequestBody),
            Way::Response => ("response-trailers", Buffer::ResponseBody),
        };
        let (status, letters) = self.called(stream, callback, "");
        if let Some(probed) = self.probed.get_mut(&stream) {
            for letter in letters.chars() {
                let _ = probed.act(letter, buffer, 0);
            }
        }
        match status {
            0 => TrailersStatus::Continue,
            _ => TrailersStatus::StopIteration,
        }
    }

    /// An order from outside, in a tick.
    fn carry_out(&mut self, name: &str, order: &str) {
        let Some((stream, probed)) = self.probed.iter_mut().find(|(_, p)| p.name == name) else {
            return;
        };
        let (verb, way) = order.split_once(' ').unwrap_or((order, "request"));
        let (way, buffer) = match way {
            "response" => (Way::Response, Buffer::ResponseBody),
            _ => (Way::Request, Buffer::RequestBody),
        };
        let result = match calls::set_effective_context(stream.0) {
            Err(failure) => format!("no stream: {failure:?}"),
            Ok(()) => match verb {
                "continue" => said(calls::continue_stream(way)),
                "edit" => said(probed.act('e', buffer, 1)),
                "read" => match calls::buffer(buffer, 0, EVERYTHING) {
                    Err(failure) => format!("{failure:?}"),
                    Ok(bytes) => {
                        let first: Vec<u8> = bytes.iter().copied().take(8).collect();
                        format!("{} {}", bytes.len(), String::from_utf8_lossy(&first))
                    }
                },
                _ => "unknown".to_owned(),
            },
        };
        self.write(name, format!("tick: {order}: {result}"));
    }
}

fn said(result: Result<(), chaperone_proxy_wasm::Failure>) -> String {
    match result {
        Ok(()) => "ok".to_owned(),
        Err(failure) => format!("{failure:?}"),
    }
}

impl Probed {
    fn new(name: String, script: &str) -> Self {
        let steps = script.split_whitespace().filter_map(|word| {
            let (callback, steps) = word.split_once('=')?;
            let steps = steps.split(',').map(str::to_owned).collect();
            Some((callback.to_owned(), steps))
        });
        Self {
            name,
            steps: steps.collect(),
            taken: Vec::new(),
        }
    }

    fn act(
        &mut self,
        letter: char,
        buffer: Buffer,
        size: usize,
    ) -> Result<(), chaperone_proxy_wasm::Failure> {
        match letter {
            't' if size > 0 => {
                self.taken.extend(calls::buffer(buffer, 0, size)?);
                calls::set_buffer(buffer, 0, size, b"")
            }
            'p' => calls::set_buffer(buffer, 0, 0, &std::mem::take(&mut self.taken)),
            'e' => calls::set_buffer(buffer, 0, 0, b"#"),
            _ => Ok(()),
        }
    }
}

fn request_header(name: &str) -> Option<String> {
    let headers = calls::headers(Map::RequestHeaders).ok()?;
    let (_, value) = headers.iter().find(|(n, _)| *n == name.as_bytes())?;
    Some(String::from_utf8_lossy(value).into_owned())
}

impl Module for Probe {
    fn on_configure(_root: RootId, _size: usize) -> bool {
        // Two listeners give two roots in one VM; the first one's tick is enough.
        STATE.with_borrow_mut(|state| state.ticks || calls::set_tick_period(10).is_ok());
        STATE.with_borrow_mut(|state| state.ticks = true);
        true
    }

    fn on_tick(_root: RootId) {
        STATE.with_borrow_mut(|state| {
            for (name, order) in std::mem::take(&mut state.orders) {
                state.carry_out(&name, &order);
            }
        });
    }

    fn on_request_headers(stream: StreamId, _count: usize, end: bool) -> HeadersStatus {
        let path = request_header(":path").unwrap_or_default();
        STATE.with_borrow_mut(|state| {
            if let Some(name) = path.strip_prefix("/probe/") {
                if let Some(order) = request_header("x-order") {
                    state.orders.push((name.to_owned(), order));
                }
                let lines = state.written.get(name).map(|lines| lines.join("\n"));
                let lines = lines.unwrap_or_default();
                let _ = calls::send_local_response(200, &[], lines.as_bytes());
                return HeadersStatus::StopAllIterationAndWatermark;
            }
            if let (Some(name), Some(script)) =
                (request_header("x-name"), request_header("x-probe"))
            {
                state.probed.insert(stream, Probed::new(name, &script));
            }
            state.headers(stream, "request-headers", end)
        })
    }

    fn on_request_body(stream: StreamId, size: usize, end: bool) -> DataStatus {
        STATE.with_borrow_mut(|state| state.body(stream, Way::Request, size, end))
    }

    fn on_request_trailers(stream: StreamId, _count: usize) -> TrailersStatus {
        STATE.with_borrow_mut(|state| state.trailers(stream, Way::Request))
    }

    fn on_response_headers(stream: StreamId, _count: usize, end: bool) -> HeadersStatus {
        STATE.with_borrow_mut(|state| state.headers(stream, "response-headers", end))
    }

    fn on_response_body(stream: StreamId, size: usize, end: bool) -> DataStatus {
        STATE.with_borrow_mut(|state| state.body(stream, Way::Response, size, end))
    }

    fn on_response_trailers(stream: StreamId, _count: usize) -> TrailersStatus {
        STATE.with_borrow_mut(|state| state.trailers(stream, Way::Response))
    }

    fn on_stream_log(stream: StreamId) {
        STATE.with_borrow_mut(|state| {
            if let Some(probed) = state.probed.remove(&stream) {
                state.write(&probed.name, "over".to_owned());
            }
        });
    }
}
