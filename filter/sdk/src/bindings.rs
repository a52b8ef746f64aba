//! The host's functions as it exports them: ABI 0.2.1, as far as the workspace uses it, and nothing
//! else.
//!
//! Every function returns a code that [`result`](crate::status::result) reads; declared as a
//! number, since a code that an enum does not list would be undefined behaviour.
#![allow(unsafe_code, reason = "the host's functions")]

macro_rules! host_functions {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {
        #[link(wasm_import_module = "env")]
        unsafe extern "C" {
            $(pub(crate) fn $name($($argument: $type),*) -> u32;)*
        }
    };
}

host_functions! {
    // Of the VM.
    proxy_log(level: u32, message: *const u8, size: usize);
    proxy_get_current_time_nanoseconds(time: *mut u64);
    proxy_set_tick_period_milliseconds(period: u32);
    proxy_set_effective_context(context: u32);
    proxy_done();
    proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32);
    proxy_increment_metric(id: u32, by: i64);
    proxy_record_metric(id: u32, value: u64);
    proxy_get_shared_data(
        key: *const u8, key_size: usize, value: *mut *mut u8, value_size: *mut usize, version: *mut u32
    );
    proxy_set_shared_data(
        key: *const u8, key_size: usize, value: *const u8, value_size: usize, version: u32
    );
    proxy_get_property(
        path: *const u8, path_size: usize, value: *mut *mut u8, value_size: *mut usize
    );
    proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize);
    proxy_call_foreign_function(
        name: *const u8, name_size: usize, arguments: *const u8, arguments_size: usize,
        results: *mut *mut u8, results_size: *mut usize
    );
    proxy_http_call(
        cluster: *const u8, cluster_size: usize, headers: *const u8, headers_size: usize,
        body: *const u8, body_size: usize, trailers: *const u8, trailers_size: usize,
        timeout: u32, call: *mut u32
    );

    // Of the effective stream.
    proxy_get_header_map_pairs(map: u32, pairs: *mut *mut u8, size: *mut usize);
    proxy_replace_header_map_value(
        map: u32, name: *const u8, name_size: usize, value: *const u8, value_size: usize
    );
    proxy_add_header_map_value(
        map: u32, name: *const u8, name_size: usize, value: *const u8, value_size: usize
    );
    proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize);
    proxy_get_buffer_bytes(
        buffer: u32, start: usize, max: usize, bytes: *mut *mut u8, size: *mut usize
    );
    proxy_set_buffer_bytes(
        buffer: u32, start: usize, size: usize, bytes: *const u8, bytes_size: usize
    );
    proxy_continue_stream(kind: u32);
    proxy_close_stream(kind: u32);
    proxy_send_local_response(
        status: u32, details: *const u8, details_size: usize, body: *const u8, body_size: usize,
        headers: *const u8, headers_size: usize, grpc_status: i32
    );
}
