//! Names of Kubernetes: what is asked first, and fast, may not pass over what is asked then.

use crate::upstreams::kubernetes::{Member, has_length_of_one, may_hold_secrets};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn every_key_that_may_hold_secrets_has_the_length_of_one() {
    let keys: [(&[u8], Member); 3] = [
        (b"data", Member::Data),
        (b"stringData", Member::StringData),
        (
            b"kubectl.kubernetes.io/last-applied-configuration",
            Member::LastApplied,
        ),
    ];
    for (key, member) in keys {
        assert_eq!(Member::of(key), member);
        assert!(may_hold_secrets(key), "{}", key.escape_ascii());
        assert!(has_length_of_one(u32::try_from(key.len()).unwrap()));
    }
    assert!(!may_hold_secrets(b"kind") && !may_hold_secrets(b"metadata"));
}
