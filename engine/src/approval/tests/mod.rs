mod answers;
mod digest;
mod standing;

use super::*;
use crate::base::time::UnixMillis;
use crate::policy::{ApproveTerms, Duration, Grant};

const ASKED: UnixMillis = UnixMillis(1_000_000);

fn approval(count: u32, grant: Grant) -> Approval {
    let terms = ApproveTerms {
        count,
        grant,
        expires: Duration::from_secs(3600),
        ..ApproveTerms::by(["sre"])
    };
    Approval::open("ana".into(), terms, ASKED)
}
