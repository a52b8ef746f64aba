//! Bytes that the host gives: it asks the module for memory, copies into it, and hands it over.
#![allow(unsafe_code, reason = "memory that the host writes")]

use crate::status::{Failure, result};

/// `proxy_on_memory_allocate`. Nobody but the host knows of the memory, until [`given`] takes it
/// back.
#[must_use]
pub fn allocate(size: usize) -> *mut u8 {
    // Not zeroed: the host asks for as much as it is about to write, 64 KB for a piece of a body.
    Box::into_raw(Box::<[u8]>::new_uninit_slice(size)).cast()
}

/// Asks the host for bytes: `ask` gets the places for their address and their number.
pub(crate) fn given(ask: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>, Failure> {
    let (mut bytes, mut size) = (std::ptr::null_mut(), 0);
    let code = ask(&raw mut bytes, &raw mut size);
    let bytes = if bytes.is_null() {
        Vec::new()
    } else {
        // SAFETY: the host got `bytes` from `allocate` for just as many bytes as it says, wrote all
        // of them, and keeps no copy of the address (ABI 0.2.1, "Memory management"; in
        // proxy-wasm-cpp-host `WasmBase::copyToPointerSize`). So this is the boxed slice that
        // `allocate` let go.
        let slice = unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(bytes, size)) };
        slice.into_vec()
    };
    // After the bytes: they are ours also when the host failed at its last step.
    result(code)?;
    Ok(bytes)
}

/// What the C library wants to be called before all else.
pub(crate) fn call_constructors() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    // SAFETY: the linker makes it, and `_initialize`, which the host calls once, is our only
    // caller.
    unsafe { __wasm_call_ctors() }
}
