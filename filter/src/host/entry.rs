//! Where Envoy comes in: the SDK's contexts, which only pass each callback on to the VM's
//! [`Worker`].

use std::cell::RefCell;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

use super::envoy::Envoy;
use super::{CallId, ContextId, Direction};
use crate::stream::Flow;
use crate::worker::Worker;

// The SDK's macro exports `_initialize` and calls the C constructors, which takes `unsafe`.
#[allow(unsafe_code, missing_docs)]
mod start {
    use super::{LogLevel, RootContext, new_root};

    proxy_wasm::main! {{
        proxy_wasm::set_log_level(LogLevel::Info);
        proxy_wasm::set_root_context(|id| -> Box<dyn RootContext> { new_root(id) });
    }}
}

thread_local! {
    /// All state of the VM. It survives configuration updates, which only make new roots in it.
    static WORKER: RefCell<Worker<Envoy>> = RefCell::new(Worker::new(Envoy::default()));
}

/// Runs `f` on the VM's state with `id` as the context whose callback this is.
///
/// Host calls never call back in, so the state is never borrowed twice; were it ever, `otherwise`
/// is returned, which for a stream is Pause.
fn with<T>(id: u32, otherwise: T, f: impl FnOnce(&mut Worker<Envoy>, ContextId) -> T) -> T {
    WORKER.with(|worker| match worker.try_borrow_mut() {
        Ok(mut worker) => {
            worker.host().entered(ContextId(id));
            f(&mut worker, ContextId(id))
        }
        Err(_) => otherwise,
    })
}

fn new_root(id: u32) -> Box<dyn RootContext> {
    Box::new(Root { id })
}

const fn action(flow: Flow) -> Action {
    match flow {
        Flow::Continue => Action::Continue,
        Flow::Pause => Action::Pause,
    }
}

struct Root {
    id: u32,
}

impl Context for Root {
    fn on_http_call_response(
        &mut self,
        token: u32,
        _num_headers: usize,
        body_size: usize,
        _num_trailers: usize,
    ) {
        with(self.id, (), |worker, id| {
            let answer = worker.host().call_answer(body_size);
            worker.call_answered(id, CallId(token), answer);
            worker.host().flush_metrics();
        });
    }

    fn on_done(&mut self) -> bool {
        with(self.id, true, |worker, id| {
            let done = worker.root_done(id);
            worker.host().flush_metrics();
            done
        })
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        with(self.id, false, |worker, id| {
            let bytes = worker.host().configuration(size);
            let good = worker.configure(id, &bytes);
            worker.host().flush_metrics();
            good
        })
    }

    fn on_tick(&mut self) {
        with(self.id, (), |worker, id| {
            worker.tick(id);
            worker.host().flush_metrics();
        });
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        with(self.id, (), |worker, root| {
            worker.stream_created(ContextId(id), root)
        });
        Some(Box::new(Stream { id }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        with(self.id, (), |worker, id| worker.root_deleted(id));
    }
}

/// A stream. Its state is in the worker, where the root can reach it to wake it.
struct Stream {
    id: u32,
}

impl Context for Stream {
    fn on_done(&mut self) -> bool {
        true
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, end: bool) -> Action {
        action(with(self.id, Flow::Pause, |worker, id| {
            worker.headers(id, Direction::Request, end)
        }))
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        action(with(self.id, Flow::Pause, |worker, id| {
            worker.body(id, Direction::Request, size, end)
        }))
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        action(with(self.id, Flow::Pause, |worker, id| {
            worker.trailers(id, Direction::Request)
        }))
    }

    fn on_http_response_headers(&mut self, _count: usize, end: bool) -> Action {
        action(with(self.id, Flow::Pause, |worker, id| {
            worker.headers(id, Direction::Response, end)
        }))
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        action(with(self.id, Flow::Pause, |worker, id| {
            worker.body(id, Direction::Response, size, end)
        }))
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        action(with(self.id, Flow::Pause, |worker, id| {
            worker.trailers(id, Direction::Response)
        }))
    }

    fn on_log(&mut self) {
        with(self.id, (), |worker, id| worker.log(id));
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        with(self.id, (), |worker, id| worker.stream_deleted(id));
    }
}
