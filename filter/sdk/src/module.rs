//! The callbacks, as one trait, and the macro that exports them.

use crate::{DataStatus, HeadersStatus, RootId, StreamId, TrailersStatus, roots};

/// A module: what Envoy calls. Every callback but those that a module is about may be left out.
///
/// Callbacks never nest: none of `calls` calls back in.
pub trait Module {
    /// The module was loaded. Before all else, once for each VM.
    fn on_start() {}

    /// A configuration came: a root is made for it, in the same VM as the roots before it.
    fn on_root_created(_root: RootId) {}

    /// A root's configuration, of `size` bytes, can be read from
    /// `Buffer::PluginConfiguration`. Whether it is good.
    fn on_configure(_root: RootId, _size: usize) -> bool {
        true
    }

    /// The root's tick period is over.
    fn on_tick(_root: RootId) {}

    /// A call that the root sent was answered. Its parts can be read now; without headers the
    /// connection broke.
    fn on_call_response(_root: RootId, _call: u32, _headers: usize, _body_size: usize) {}

    /// A root is to go; `false` when it has something to finish first and will say
    /// `calls::done`.
    fn on_root_done(_root: RootId) -> bool {
        true
    }

    /// A root is gone.
    fn on_root_deleted(_root: RootId) {}

    /// A stream begins.
    fn on_stream_created(_stream: StreamId, _root: RootId) {}

    /// The request's headers, `count` of them; `end` when no body follows.
    fn on_request_headers(_stream: StreamId, _count: usize, _end: bool) -> HeadersStatus {
        HeadersStatus::Continue
    }

    /// A piece of the request's body; `size` bytes can be read.
    fn on_request_body(_stream: StreamId, _size: usize, _end: bool) -> DataStatus {
        DataStatus::Continue
    }

    /// The request's trailers, `count` of them.
    fn on_request_trailers(_stream: StreamId, _count: usize) -> TrailersStatus {
        TrailersStatus::Continue
    }

    /// The response's headers, `count` of them; `end` when no body follows.
    fn on_response_headers(_stream: StreamId, _count: usize, _end: bool) -> HeadersStatus {
        HeadersStatus::Continue
    }

    /// A piece of the response's body; `size` bytes can be read.
    fn on_response_body(_stream: StreamId, _size: usize, _end: bool) -> DataStatus {
        DataStatus::Continue
    }

    /// The response's trailers, `count` of them.
    fn on_response_trailers(_stream: StreamId, _count: usize) -> TrailersStatus {
        TrailersStatus::Continue
    }

    /// The stream is over, and its headers can be read once more. It may be the first callback
    /// about headers, when Envoy answered by itself.
    fn on_stream_log(_stream: StreamId) {}

    /// The stream's context is gone.
    fn on_stream_deleted(_stream: StreamId) {}
}

/// Exports a [`Module`] to Envoy. Once, in a `cdylib` for wasm32-wasip1.
///
/// ```text
/// struct Nothing;
/// impl chaperone_proxy_wasm::Module for Nothing {}
/// chaperone_proxy_wasm::export_module!(Nothing);
/// ```
// Exports of the crate that uses it and not of this one: only there the type is known. `unsafe` in
// the expansion is the attribute alone: a symbol may collide with another one, and the linker would
// say so.
#[macro_export]
macro_rules! export_module {
    ($module:ty) => {
        const _: () = {
            use $crate::{Module, RootId, StreamId, exported};

            #[unsafe(no_mangle)]
            extern "C" fn proxy_abi_version_0_2_1() {}

            #[unsafe(no_mangle)]
            extern "C" fn _initialize() {
                exported::initialize::<$module>();
            }

            #[unsafe(no_mangle)]
            extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
                exported::allocate(size)
            }

            #[unsafe(no_mangle)]
            extern "C" fn proxy_on_context_create(context: u32, root: u32) {
                exported::context_created::<$module>(context, root);
            }

            #[unsafe(no_mangle)]
            extern "C" fn proxy_on_vm_start(_root: u32, _size: usize) -> u32 {
                1
            }

            #[unsafe(no_mangle)]
            extern "C" fn proxy_on_configure(root: u32, size: usize) -> u32 {
                u32::from(<$module>::on_configure(RootId(root), size))
            }

            #[unsafe(no_mangle)]
            extern "C" fn proxy_on_tick(root: u32) {
                <$module>::on_tick(RootId(root));
            }

            #[unsafe(no_mangle)]
            extern "C" fn proxy_on_http_call_response(
                root: u32,
                call: u32,
                headers: usize,
                body_size: usize,
                _trailers: usize,
            ) {
                <$module>::on_call_response(RootId(root), call, headers, body_size);
            }

            #[unsafe(no_mangle)]
            extern "C" fn proxy_on_request_headers(stream: u32, count: usize, end: u32) -> u32 {
                <$module>::on_request_headers(StreamId(stream), count, end != 0).code()
            }

            #[unsafe(no_mangle)]
            extern "C" fn proxy_on_request_body(stream: u32, size: usize, end: u32) -> u32 {
                <$module>::on_request_body(StreamId(stream), size, end != 0).code()
            }

            #[unsafe(no_mangle)]
            extern "C" fn proxy_on_request_trailers(stream: u32, count: usize) -> u32 {
                <$module>::on_request_trailers(StreamId(stream), count).code()
            }

            #[unsafe(no_mangle)]
            extern "C" fn proxy_on_response_headers(stream: u32, count: usize, end: u32) -> u32 {
                <$module>::on_response_headers(StreamId(stream), count, end != 0).code()
            }

            #[unsafe(no_mangle)]
            extern "C" fn proxy_on_response_body(stream: u32, size: usize, end: u32) -> u32 {
                <$module>::on_response_body(StreamId(stream), size, end != 0).code()
            }

            #[unsafe(no_mangle)]
            extern "C" fn proxy_on_response_trailers(stream: u32, count: usize) -> u32 {
                <$module>::on_response_trailers(StreamId(stream), count).code()
            }

            #[unsafe(no_mangle)]
            extern "C" fn proxy_on_done(context: u32) -> u32 {
                u32::from(exported::done::<$module>(context))
            }

            #[unsafe(no_mangle)]
            extern "C" fn proxy_on_log(context: u32) {
                exported::logged::<$module>(context);
            }

            #[unsafe(no_mangle)]
            extern "C" fn proxy_on_delete(context: u32) {
                exported::deleted::<$module>(context);
            }
        };
    };
}

/// `_initialize`: what comes before the first callback.
#[cfg(target_arch = "wasm32")]
pub fn initialize<M: Module>() {
    crate::memory::call_constructors();
    // The message is lost with the VM otherwise: all that Envoy sees of a panic is a trap.
    std::panic::set_hook(Box::new(|panic| {
        let _ = crate::calls::log(crate::calls::LogLevel::Critical, &panic.to_string());
    }));
    M::on_start();
}

/// `proxy_on_context_create`: a root has none above it.
pub fn context_created<M: Module>(context: u32, root: u32) {
    if root == 0 {
        roots::add(RootId(context));
        M::on_root_created(RootId(context));
    } else {
        M::on_stream_created(StreamId(context), RootId(root));
    }
}

/// `proxy_on_done`. Streams have nothing to finish.
pub fn done<M: Module>(context: u32) -> bool {
    roots::find(context).is_none_or(M::on_root_done)
}

/// `proxy_on_log`.
pub fn logged<M: Module>(context: u32) {
    if roots::find(context).is_none() {
        M::on_stream_log(StreamId(context));
    }
}

/// `proxy_on_delete`.
pub fn deleted<M: Module>(context: u32) {
    match roots::find(context) {
        Some(root) => {
            roots::remove(root);
            M::on_root_deleted(root);
        }
        None => M::on_stream_deleted(StreamId(context)),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    thread_local! {
        static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    fn saw(what: String) {
        SEEN.with_borrow_mut(|seen| seen.push(what));
    }

    struct Watched;

    impl Module for Watched {
        fn on_root_created(root: RootId) {
            saw(format!("root {} created", root.0));
        }
        fn on_root_done(root: RootId) -> bool {
            saw(format!("root {} done", root.0));
            false
        }
        fn on_root_deleted(root: RootId) {
            saw(format!("root {} deleted", root.0));
        }
        fn on_stream_created(stream: StreamId, root: RootId) {
            saw(format!("stream {} of {} created", stream.0, root.0));
        }
        fn on_stream_log(stream: StreamId) {
            saw(format!("stream {} logged", stream.0));
        }
        fn on_stream_deleted(stream: StreamId) {
            saw(format!("stream {} deleted", stream.0));
        }
    }

    #[test]
    fn roots_and_streams_are_told_apart_though_the_host_gives_a_number_only() {
        context_created::<Watched>(1, 0);
        context_created::<Watched>(2, 1);
        logged::<Watched>(2);
        assert!(done::<Watched>(2), "a stream has nothing to finish");
        deleted::<Watched>(2);
        logged::<Watched>(1);
        assert!(!done::<Watched>(1), "a root may ask to wait");
        deleted::<Watched>(1);
        // The number is free again, and no root's any more.
        assert!(done::<Watched>(1));
        assert_eq!(
            SEEN.take(),
            [
                "root 1 created",
                "stream 2 of 1 created",
                "stream 2 logged",
                "stream 2 deleted",
                "root 1 done",
                "root 1 deleted",
            ]
        );
    }

    #[test]
    fn a_module_that_implements_nothing_lets_everything_pass() {
        struct Nothing;
        impl Module for Nothing {}
        let stream = StreamId(1);
        assert_eq!(
            Nothing::on_request_headers(stream, 0, true),
            HeadersStatus::Continue
        );
        assert_eq!(
            Nothing::on_request_body(stream, 0, true),
            DataStatus::Continue
        );
        assert_eq!(
            Nothing::on_request_trailers(stream, 0),
            TrailersStatus::Continue
        );
        assert_eq!(
            Nothing::on_response_headers(stream, 0, true),
            HeadersStatus::Continue
        );
        assert_eq!(
            Nothing::on_response_body(stream, 0, true),
            DataStatus::Continue
        );
        assert_eq!(
            Nothing::on_response_trailers(stream, 0),
            TrailersStatus::Continue
        );
    }
}
