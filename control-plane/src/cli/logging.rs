//! What is logged.

use tracing_subscriber::EnvFilter;

use super::failure::Failure;

/// What is logged: as `CHAPERONE_LOG` says, or else as `default` does.
///
/// # Errors
/// When `CHAPERONE_LOG` cannot be understood.
pub(crate) fn log_filter(default: &str) -> Result<EnvFilter, Failure> {
    let levels = std::env::var("CHAPERONE_LOG").unwrap_or_default();
    let levels = if levels.is_empty() {
        default.to_owned()
    } else {
        levels
    };
    EnvFilter::try_new(&levels).map_err(|e| {
        Failure::usage(format!("CHAPERONE_LOG={levels} cannot be understood: {e}."))
            .next("It is written like info or info,chaperone=debug.")
    })
}
