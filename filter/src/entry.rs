//! Where Envoy comes in: the module's callbacks, which only pass on to the VM's [`Worker`].

use std::cell::RefCell;

use chaperone_proxy_wasm::{
    DataStatus, HeadersStatus, Module, RootId, StreamId, TrailersStatus, export_module,
};

use crate::host::envoy::Envoy;
use crate::host::{CallId, ContextId, Direction};
use crate::stream::Flow;
use crate::worker::Worker;

thread_local! {
    /// All state of the VM. It survives configuration updates, which only make new roots in it.
    static WORKER: RefCell<Worker<Envoy>> = RefCell::new(Worker::new(Envoy::default()));
}

/// Runs `f` on the VM's state with `context` as the one whose callback this is.
///
/// Host calls never call back in, so the state is never borrowed twice; were it ever, `otherwise`
/// is returned, which for a stream is Pause.
fn with<T>(
    context: impl Into<ContextId>,
    otherwise: T,
    f: impl FnOnce(&mut Worker<Envoy>, ContextId) -> T,
) -> T {
    let id = context.into();
    WORKER.with(|worker| match worker.try_borrow_mut() {
        Ok(mut worker) => {
            worker.host().entered(id);
            f(&mut worker, id)
        }
        Err(_) => otherwise,
    })
}

/// As [`with`], for callbacks of roots: the time to tell Envoy of metrics.
fn with_root<T>(
    root: RootId,
    otherwise: T,
    f: impl FnOnce(&mut Worker<Envoy>, ContextId) -> T,
) -> T {
    with(root, otherwise, |worker, id| {
        let returned = f(worker, id);
        worker.host().flush_metrics();
        returned
    })
}

impl From<RootId> for ContextId {
    fn from(RootId(id): RootId) -> Self {
        Self(id)
    }
}

impl From<StreamId> for ContextId {
    fn from(StreamId(id): StreamId) -> Self {
        Self(id)
    }
}

// What a flow is to Envoy differs between headers, bodies and trailers. The table of what each
// status does stands at the head of `host`.

impl From<Flow> for HeadersStatus {
    fn from(flow: Flow) -> Self {
        match flow {
            Flow::Continue => Self::Continue,
            // In the "headers" profile Envoy holds the body, too; in the "body" profile it goes on
            // to be seen.
            Flow::Pause => Self::StopIteration,
            // In both profiles Envoy holds the body, too.
            Flow::Hold => Self::StopAllIterationAndWatermark,
        }
    }
}

impl From<Flow> for DataStatus {
    fn from(flow: Flow) -> Self {
        match flow {
            Flow::Continue => Self::Continue,
            Flow::Pause => Self::StopIterationAndBuffer,
            Flow::Hold => Self::StopIterationAndWatermark,
        }
    }
}

impl From<Flow> for TrailersStatus {
    fn from(flow: Flow) -> Self {
        match flow {
            Flow::Continue => Self::Continue,
            Flow::Pause | Flow::Hold => Self::StopIteration,
        }
    }
}

fn headers(stream: StreamId, direction: Direction, end: bool) -> HeadersStatus {
    let flow = with(stream, Flow::Pause, |worker, id| {
        worker.headers(id, direction, end)
    });
    flow.into()
}

fn body(stream: StreamId, direction: Direction, size: usize, end: bool) -> DataStatus {
    let flow = with(stream, Flow::Pause, |worker, id| {
        worker.body(id, direction, size, end)
    });
    flow.into()
}

fn trailers(stream: StreamId, direction: Direction) -> TrailersStatus {
    let flow = with(stream, Flow::Pause, |worker, id| {
        worker.trailers(id, direction)
    });
    flow.into()
}

struct Filter;

export_module!(Filter);

impl Module for Filter {
    fn on_configure(root: RootId, size: usize) -> bool {
        with_root(root, false, |worker, id| {
            let bytes = worker.host().configuration(size);
            worker.configure(id, &bytes)
        })
    }

    fn on_tick(root: RootId) {
        with_root(root, (), |worker, id| worker.tick(id));
    }

    fn on_call_response(root: RootId, call: u32, _headers: usize, body_size: usize) {
        with_root(root, (), |worker, id| {
            let answer = worker.host().call_answer(body_size);
            worker.call_answered(id, CallId(call), answer);
        });
    }

    fn on_root_done(root: RootId) -> bool {
        with_root(root, true, |worker, id| worker.root_done(id))
    }

    fn on_root_deleted(root: RootId) {
        with(root, (), |worker, id| worker.root_deleted(id));
    }

    fn on_stream_created(stream: StreamId, root: RootId) {
        with(stream, (), |worker, id| {
            worker.stream_created(id, root.into());
        });
    }

    fn on_request_headers(stream: StreamId, _count: usize, end: bool) -> HeadersStatus {
        headers(stream, Direction::Request, end)
    }

    fn on_request_body(stream: StreamId, size: usize, end: bool) -> DataStatus {
        body(stream, Direction::Request, size, end)
    }

    fn on_request_trailers(stream: StreamId, _count: usize) -> TrailersStatus {
        trailers(stream, Direction::Request)
    }

    fn on_response_headers(stream: StreamId, _count: usize, end: bool) -> HeadersStatus {
        headers(stream, Direction::Response, end)
    }

    fn on_response_body(stream: StreamId, size: usize, end: bool) -> DataStatus {
        body(stream, Direction::Response, size, end)
    }

    fn on_response_trailers(stream: StreamId, _count: usize) -> TrailersStatus {
        trailers(stream, Direction::Response)
    }

    fn on_stream_log(stream: StreamId) {
        with(stream, (), |worker, id| worker.log(id));
    }

    fn on_stream_deleted(stream: StreamId) {
        with(stream, (), |worker, id| worker.stream_deleted(id));
    }
}
