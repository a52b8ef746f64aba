//! What tests of several modules share.

use proptest::test_runner::Config;

/// `n` cases where proptest makes 256, and in proportion where `PROPTEST_CASES` asks for more or
/// fewer: for properties whose cases take long.
pub(crate) fn cases(n: u32) -> u32 {
    let asked = u64::from(Config::default().cases);
    u32::try_from((asked * u64::from(n)).div_ceil(256)).unwrap_or(u32::MAX)
}
