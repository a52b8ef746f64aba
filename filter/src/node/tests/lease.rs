use chaperone_engine::audit::BootId;
use chaperone_engine::base::time::UnixMillis;

use super::super::policy::lease::Lease;
use crate::host::Host as _;
use crate::host::fake::FakeHost;

fn boot(n: u128) -> BootId {
    BootId::from_random(n)
}

#[test]
fn of_two_workers_that_write_a_new_lease_at_once_the_one_that_is_read_back_has_it() {
    // Both saw no lease; the other one's write came last.
    let host = FakeHost::default();
    let (mut one, other) = (Lease::new("k".to_owned()), boot(2));
    assert!(one.hold(&host, &boot(1), UnixMillis(0)));
    host.set_shared("k", format!("{} 3000", other.as_str()).as_bytes(), None)
        .unwrap();
    assert!(
        !one.hold(&host, &boot(1), UnixMillis(1_000)),
        "it finds out when it would renew"
    );
    assert!(
        one.hold(&host, &boot(1), UnixMillis(3_000)),
        "and takes it when it has run out"
    );
}

#[test]
fn a_clock_that_is_set_back_does_not_stop_the_renewals() {
    let host = FakeHost::default();
    let mut lease = Lease::new("k".to_owned());
    assert!(lease.hold(&host, &boot(1), UnixMillis(9_000_000)));
    assert!(lease.hold(&host, &boot(1), UnixMillis(1_000)));
    let (value, _) = host.shared("k").unwrap();
    assert!(value.ends_with(b" 4000"), "as long as any");
}
