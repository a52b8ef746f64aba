//! Why a bundle cannot be made ready.

use std::fmt;

use crate::identity::{InvalidIssuer, JwksError};
use crate::masking::DetectorError;
use crate::policy::PolicyErrors;

/// Which part of a bundle cannot be used, and why.
#[derive(Debug)]
pub enum GateError {
    /// The key set of an issuer is none. Single bad keys in a set are no error.
    KeySet {
        /// The issuer.
        issuer: String,
        /// Why.
        why: JwksError,
    },
    /// The settings of an issuer.
    Issuer(InvalidIssuer),
    /// The policy document.
    Policy(PolicyErrors),
    /// The masking rules or the policy's own detectors.
    Masking(PlanError),
}

impl fmt::Display for GateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeySet { issuer, why } => {
                write!(f, "the key set of {issuer} cannot be used: {why}")
            }
            Self::Issuer(why) => why.fmt(f),
            Self::Policy(errors) => errors.fmt(f),
            Self::Masking(why) => write!(f, "masking cannot be made ready: {why}"),
        }
    }
}

impl std::error::Error for GateError {}

/// Why masking rules cannot be made into plans.
#[derive(Debug)]
pub enum PlanError {
    /// A detector cannot be compiled.
    Detector(DetectorError),
    /// A detector of the policy's own cannot be written as JSON, by which it is told from others.
    Unwritable(serde_json::Error),
    /// The compiled detectors take more memory than a worker may hold.
    TooLarge(Oversize),
}

/// Compiled detectors that take too much memory. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oversize {
    /// Size of all sets.
    pub all: usize,
    /// The size that is allowed.
    pub limit: usize,
    /// How many sets there are.
    pub sets: usize,
    /// Size of the largest set.
    pub largest: usize,
    /// The detectors of the largest set, in the order of precedence.
    pub detectors: Vec<String>,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Detector(error) => error.fmt(f),
            Self::Unwritable(error) => error.fmt(f),
            Self::TooLarge(oversize) => oversize.fmt(f),
        }
    }
}

impl std::error::Error for PlanError {}

impl From<DetectorError> for PlanError {
    fn from(error: DetectorError) -> Self {
        Self::Detector(error)
    }
}

impl fmt::Display for Oversize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_largest = match self.detectors.as_slice() {
            [] => String::new(),
            [only] => format!("`{only}`"),
            [first, .., last] => {
                format!(
                    "{} detectors from `{first}` to `{last}`",
                    self.detectors.len()
                )
            }
        };
        write!(
            f,
            "the compiled detectors take {}, and a worker may hold {}; {} of it in {of_largest} (the largest of {} \
             sets): choose fewer detectors, or the same ones for requests, responses and connections, which then \
             share them",
            mebibytes(self.all),
            mebibytes(self.limit),
            mebibytes(self.largest),
            self.sets,
        )
    }
}

fn mebibytes(bytes: usize) -> String {
    const MIB: usize = 1024 * 1024;
    let tenths = bytes.saturating_mul(10).div_ceil(MIB);
    format!("{}.{} MiB", tenths.wrapping_div(10), tenths % 10)
}
