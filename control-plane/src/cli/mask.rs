//! `chaperone mask`: standard input to standard output, through the masker that the filter uses.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use chaperone_engine::gate::MaskingPlans;
use chaperone_engine::masking::{DetectorSet, Findings, Masker, Plan};
use chaperone_engine::policy::{
    Direction, KeyList, MaskingAction, MaskingRule, validate_masking_rule,
};
use serde::Serialize;

use super::document::read_policy;
use super::failure::{Exit, Failure};
use super::masking_args::{ContentArgs, KeyArgs, cannot_mask, misused};

/// How much is read at once.
const BUFFER: usize = 64 * 1024;
/// Largest `--chunk`.
const MAX_CHUNK: u32 = 16 * 1024 * 1024;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The input streams through in constant memory, whatever its size. A possible secret is held back
until it is decided: less than 8 KiB of one text. Events and log probabilities that wait for it are
held with it, up to 256 KiB.

Exit codes: 0 the input went through; 4 a secret was found that may not pass, and the output ends
before it; 1 and 2 as everywhere.

Examples:
  chaperone mask < build.log
  chaperone mask --detectors 'secrets/*,pii/*' --keys default --keep 4 --format json < answer.json
  chaperone mask --policy policy.yaml --connection models --direction request < prompt.json
  chaperone mask --action block --detectors secrets/private-key < upload.txt || echo 'held back'
  chaperone mask --chunk 0 --seed 7 --stats < stream.sse > masked.sse")]
pub(crate) struct MaskArgs {
    #[command(flatten)]
    content: ContentArgs,
    /// Which detectors look: names, or the beginning of names with a star; see
    /// `chaperone detectors list`
    #[arg(
        long,
        value_name = "SELECTOR,…",
        value_delimiter = ',',
        num_args = 1..,
        default_value = "secrets/*"
    )]
    detectors: Vec<String>,
    /// Keys whose values are masked whatever they look like, or `default` for the usual ones
    /// (password, client_secret, …)
    #[arg(long, value_name = "KEY,…", value_delimiter = ',')]
    keys: Vec<String>,
    /// What happens to a secret
    #[arg(long, value_enum, value_name = "ACTION", default_value_t)]
    action: Action,
    /// How many of a secret's last characters its replacement shows, 1 to 16, and never more than a
    /// quarter of it
    #[arg(long, value_name = "N")]
    keep: Option<u8>,
    /// Mask as this policy says, instead of the five options above
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["detectors", "keys", "action", "keep"]
    )]
    policy: Option<PathBuf>,
    /// The connection of the policy whose bodies these are; not needed if it has only one
    #[arg(long, value_name = "NAME", requires = "policy")]
    connection: Option<String>,
    /// Which way the bodies go
    #[arg(
        long,
        value_enum,
        value_name = "DIRECTION",
        requires = "policy",
        default_value_t
    )]
    direction: Way,
    /// Cut the input every N bytes before it is masked, 0: at random places. The output must not
    /// depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_CHUNK)))]
    chunk: Option<u32>,
    /// Which random places
    #[arg(long, value_name = "N", requires = "chunk", default_value_t = 0)]
    seed: u64,
    /// At the end print what was found and how much went through, as JSON, to standard error
    #[arg(long)]
    stats: bool,
    #[command(flatten)]
    key: KeyArgs,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Action {
    /// It is replaced
    #[default]
    Mask,
    /// The output ends before it
    Block,
    /// It passes and is counted; see --stats
    Report,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Way {
    /// From the agent to the upstream
    Request,
    /// From the upstream to the agent
    #[default]
    Response,
}

/// What `--stats` prints.
#[derive(Debug, Serialize)]
struct Stats<'a> {
    findings: &'a Findings,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked: Option<String>,
    bytes_in: u64,
    bytes_out: u64,
    /// Most bytes that were held back at once.
    held_max: usize,
    seconds: f64,
}

/// Runs `chaperone mask`.
pub(crate) fn run(args: &MaskArgs) -> Result<(), Failure> {
    let plan = plan(args)?;
    let key = args.key.key()?;
    let mut input = std::io::stdin().lock();
    // Without the line buffer of `stdout()`: this is not for lines.
    let output = std::io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .map(File::from)?;
    let mut output = BufWriter::with_capacity(BUFFER, output);

    let beginning = match args.content.needs_first_line() {
        true => first_line(&mut input)?,
        false => Vec::new(),
    };
    let content = args.content.content(&beginning)?;
    let mut masker = Masker::new(plan, key, &content);
    let cuts = match args.chunk {
        None => Cuts::AsItComes,
        Some(0) => Cuts::Random(args.seed),
        Some(n) => Cuts::Every(usize::try_from(n).unwrap_or(1)),
    };
    let began = Instant::now();
    let mut input = beginning.as_slice().chain(&mut input);
    let went = stream(&mut input, &mut output, &mut masker, cuts)?;
    output.flush()?;
    if args.stats {
        let stats = Stats {
            findings: masker.findings(),
            blocked: masker.blocked().map(|blocked| blocked.detector.clone()),
            bytes_in: went.bytes_in,
            bytes_out: went.bytes_out,
            held_max: went.held_max,
            seconds: began.elapsed().as_secs_f64(),
        };
        let text = serde_json::to_string(&stats)
            .map_err(|e| Failure::failed(format!("Cannot write the statistics: {e}.")))?;
        // If standard error is gone there is nobody to tell.
        let _ = std::io::stderr().write_all((text + "\n").as_bytes());
    }
    match masker.blocked() {
        None => Ok(()),
        Some(blocked) => Err(Failure {
            exit: Exit::Blocked,
            ..Failure::failed(format!(
                "A secret ({}, fingerprint {}) was found that may not pass; the output ends before it.",
                blocked.detector, blocked.fingerprint
            ))
        }),
    }
}

fn plan(args: &MaskArgs) -> Result<Arc<Plan>, Failure> {
    let Some(file) = &args.policy else {
        let rule = MaskingRule {
            name: "mask".to_owned(),
            detectors: args.detectors.clone(),
            keys: key_list(&args.keys),
            on: vec![Direction::Request],
            action: match args.action {
                Action::Mask => MaskingAction::Mask,
                Action::Block => MaskingAction::Block,
                Action::Report => MaskingAction::Report,
            },
            keep: args.keep,
            restore: false,
            connections: None,
        };
        validate_masking_rule(&rule, &[]).map_err(|errors| misused(&errors))?;
        return MaskingPlans::of_rule(&rule, &[], &[]).map_err(cannot_mask);
    };
    let policy = read_policy(file)?;
    let names: Vec<&str> = policy.connections.iter().map(|c| c.name.as_str()).collect();
    let connection = match (&args.connection, names.as_slice()) {
        (Some(name), _) if names.contains(&name.as_str()) => name.as_str(),
        (None, [only]) => only,
        (given, _) => {
            let problem = match given {
                Some(name) => format!("The policy has no connection {name:?}."),
                None => "Say which of the policy's connections with --connection.".to_owned(),
            };
            return Err(Failure::usage(problem).next(format!("It has {}.", names.join(", "))));
        }
    };
    let (direction, bodies) = match args.direction {
        Way::Request => (Direction::Request, "requests"),
        Way::Response => (Direction::Response, "responses"),
    };
    let plans = MaskingPlans::compile(&policy, None).map_err(cannot_mask)?;
    if let Some(plan) = plans.plan(connection, direction) {
        return Ok(plan);
    }
    // Whoever believes that it masks must hear that it does not.
    let note = format!(
        "note: this policy does nothing with {bodies} of connection {connection}; the input passes as it is\n"
    );
    let _ = std::io::stderr().write_all(note.as_bytes());
    let nothing = DetectorSet::compile(&[] as &[&str]).map_err(cannot_mask)?;
    Ok(Arc::new(Plan::masking(Arc::new(nothing))))
}

/// Keys as they are written on the command line.
fn key_list(keys: &[String]) -> Option<KeyList> {
    match keys {
        [] => None,
        [only] if only == "default" => Some(KeyList::Default),
        names => Some(KeyList::Names(names.to_vec())),
    }
}

/// What [`stream`] saw.
#[derive(Debug, Default, PartialEq, Eq)]
struct Went {
    bytes_in: u64,
    bytes_out: u64,
    held_max: usize,
}

/// Where the input is cut.
#[derive(Debug)]
enum Cuts {
    AsItComes,
    Every(usize),
    /// The state of a generator (SplitMix64: the same places on every machine).
    Random(u64),
}

impl Cuts {
    /// Length of the next piece; `None`: whatever was read.
    fn next(&mut self) -> Option<usize> {
        match self {
            Self::AsItComes => None,
            Self::Every(length) => Some(*length),
            Self::Random(state) => {
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = *state;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                z ^= z >> 31;
                // Short pieces and long ones: cuts that lie near each other find other faults than
                // far ones.
                let most = 1_u64 << (2 * (z % 7));
                usize::try_from(1 + (z >> 8) % most).ok()
            }
        }
    }
}

/// Masks all of `input`, or what comes before a secret that is blocked.
fn stream(
    input: &mut impl Read,
    output: &mut impl Write,
    masker: &mut Masker,
    mut cuts: Cuts,
) -> Result<Went, Failure> {
    let mut went = Went::default();
    let mut buffer = vec![0; BUFFER];
    let mut piece: Vec<u8> = Vec::new();
    let mut length = cuts.next();
    'read: loop {
        // The reader of the output may be what the input waits for.
        output.flush()?;
        let read = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Failure::failed(format!("Cannot read the input: {e}."))),
        };
        let mut bytes = &buffer[..read];
        while !bytes.is_empty() {
            let missing = length.map_or(bytes.len(), |length| length - piece.len());
            let (now, later) = bytes.split_at(missing.min(bytes.len()));
            bytes = later;
            let whole = if now.len() < missing {
                piece.extend_from_slice(now);
                break;
            } else if piece.is_empty() {
                now
            } else {
                piece.extend_from_slice(now);
                &piece
            };
            went.push(masker, whole, output)?;
            piece.clear();
            length = cuts.next();
            if masker.blocked().is_some() {
                break 'read;
            }
        }
    }
    if masker.blocked().is_none() {
        went.push(masker, &piece, output)?;
        let rest = masker.finish();
        went.bytes_out += rest.len() as u64;
        output.write_all(rest.as_bytes())?;
    }
    Ok(went)
}

impl Went {
    fn push(
        &mut self,
        masker: &mut Masker,
        bytes: &[u8],
        output: &mut impl Write,
    ) -> Result<(), Failure> {
        let masked = masker.push(bytes);
        self.bytes_in += bytes.len() as u64;
        self.bytes_out += masked.as_bytes().len() as u64;
        output.write_all(masked.as_bytes())?;
        self.held_max = self.held_max.max(masker.held());
        Ok(())
    }
}

/// The first line, or the beginning of a very long one.
fn first_line(input: &mut impl Read) -> Result<Vec<u8>, Failure> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < 256 && line.last() != Some(&b'\n') {
        match input.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => line.push(byte[0]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Failure::failed(format!("Cannot read the input: {e}."))),
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chaperone_engine::masking::{Content, FingerprintKey};
    use proptest::prelude::*;

    fn masker() -> Masker {
        let rule = MaskingRule {
            name: "mask".to_owned(),
            detectors: vec!["secrets/github-pat".to_owned()],
            keys: None,
            on: vec![Direction::Request],
            action: MaskingAction::Mask,
            keep: None,
            restore: false,
            connections: None,
        };
        let plan = MaskingPlans::of_rule(&rule, &[], &[]).unwrap();
        Masker::new(plan, FingerprintKey::from_bytes([1; 32]), &Content::text())
    }

    /// Gives a few bytes at a time, as a pipe does.
    struct Pipe<'a>(&'a [u8], usize);

    impl Read for Pipe<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = self.1.min(buffer.len());
            (&mut self.0).take(length as u64).read(buffer)
        }
    }

    fn masked(text: &[u8], pipe: usize, cuts: Cuts) -> (Vec<u8>, Went) {
        let mut out = Vec::new();
        let went = stream(&mut Pipe(text, pipe), &mut out, &mut masker(), cuts).unwrap();
        (out, went)
    }

    #[test]
    fn pieces_have_the_length_that_was_asked_for_whatever_the_pipe_gives() {
        struct Lengths(Cuts, Vec<usize>);
        let mut random = Lengths(Cuts::Random(3), Vec::new());
        for _ in 0..1000 {
            random.1.extend(random.0.next());
        }
        assert!(random.1.iter().all(|n| (1..=4096).contains(n)));
        assert!(random.1.contains(&1) && random.1.iter().any(|n| *n > 1000));
        let mut again = Cuts::Random(3);
        assert!(random.1.iter().all(|n| again.next() == Some(*n)));
    }

    proptest! {
        #[test]
        fn the_output_does_not_depend_on_how_the_input_is_cut(
            before in "[ -~\n]{0,200}",
            after in "[ -~\n]{0,200}",
            pipe in 1_usize..300,
            every in 1_usize..300,
            seed: u64,
        ) {
            let text = format!("{before} ghp_{} {after}", "Example0".repeat(5).split_at(36).0);
            let (whole, went) = masked(text.as_bytes(), usize::MAX, Cuts::AsItComes);
            prop_assert_eq!(went.bytes_in, text.len() as u64);
            prop_assert_eq!(went.bytes_out, whole.len() as u64);
            for cuts in [Cuts::AsItComes, Cuts::Every(every), Cuts::Random(seed)] {
                prop_assert_eq!(&masked(text.as_bytes(), pipe, cuts).0, &whole);
            }
        }
    }
}
