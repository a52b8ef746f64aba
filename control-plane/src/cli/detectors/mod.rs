//! `chaperone detectors`: which there are, what they find in a text, and how rules of other tools
//! become some.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use chaperone_engine::gate::MaskingPlans;
use chaperone_engine::masking::{
    Allow, CustomDetector, Detector, DetectorSet, KeyNames, Masker, catalogue, chooses,
    compile_custom,
};
use chaperone_engine::policy::{
    Direction, KeyList, MaskingAction, MaskingRule, validate_masking_rule,
};
use serde::Serialize;

use super::document::{read_detectors, read_document, read_policy};
use super::failure::Failure;
use super::masking_args::{ContentArgs, KeyArgs, cannot_mask, misused};
use super::output::{Output, Table};

mod found;
mod gitleaks;
mod yaml;

/// Most that `test` reads: it holds all of it.
const MAX_TEXT: usize = 64 * 1024 * 1024;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum DetectorsCommand {
    /// List the detectors: what each finds, how bad a leak is, and where its format is documented
    #[command(after_help = "\
CHECKED: whether a checksum or a structure inside the secret tells a real one from a likeness.

Examples:
  chaperone detectors list 'secrets/azure-*'
  chaperone detectors list --policy policy.yaml 'custom/*' --json")]
    List(ListArgs),
    /// Say what is found in a text, and where; the secrets themselves are not shown
    #[command(after_help = "\
Exit codes: 0 something was found; 1 nothing was found; 2 as everywhere.

Examples:
  chaperone detectors test 'password=\"Summer2024\" and a key'
  chaperone detectors test --policy policy.yaml - < request.json
  chaperone detectors test --detector acme.yaml 'a token: acme_0123456789'

acme.yaml is written like that part of a policy:
  detectors:
    - name: custom/acme
      regex: 'acme_[0-9]{10}'")]
    Test(TestArgs),
    /// Make detectors for a policy of the rules of a gitleaks configuration (TOML)
    #[command(after_help = "\
What cannot be taken over, such as rules about paths, is named on standard error.
Exit codes: 0 all rules with a regex were taken over, or those that can be with --skip-unusable;
1 some cannot be used, or none can: nothing is written; 2 as everywhere.

Examples:
  chaperone detectors import gitleaks.toml --check
  chaperone detectors import gitleaks.toml --to detectors.yaml

Put the result into the policy, and choose it in a masking rule with detectors: [\"custom/*\"].")]
    Import(ImportArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Names, or the beginning of names with a star; all when left out
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Add the detectors of this policy
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The same as --output json
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TestArgs {
    /// The text; - is standard input
    #[arg(default_value = "-")]
    text: String,
    /// Look for what the masking rules of this policy look for, all of them
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Look with the detectors of this file: the key `detectors` of a policy
    #[arg(long, value_name = "FILE", conflicts_with = "policy")]
    detector: Option<PathBuf>,
    /// Which of the detectors look [default: all of the file, of the policy's rules, or all that
    /// are built in]
    #[arg(long, value_name = "SELECTOR,…", value_delimiter = ',')]
    detectors: Vec<String>,
    #[command(flatten)]
    content: ContentArgs,
    /// Print the secrets too
    #[arg(long)]
    show_secrets: bool,
    #[command(flatten)]
    key: KeyArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// The configuration; - is standard input
    file: PathBuf,
    /// Write there instead of to standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Compile the result, and say how much memory and time it takes; prints no detectors unless
    /// --to is given
    #[arg(long)]
    check: bool,
    /// Take over the other rules where some cannot be used; each that is left out masks nothing
    #[arg(long)]
    skip_unusable: bool,
}

/// Runs `chaperone detectors …`.
pub(crate) fn run(command: &DetectorsCommand, out: Output) -> Result<(), Failure> {
    match command {
        DetectorsCommand::List(args) => list(args, out),
        DetectorsCommand::Test(args) => test(args, out),
        DetectorsCommand::Import(args) => import_rules(args, out),
    }
}

/// A detector as `list` shows it.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    severity: String,
    description: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    source: &'a str,
    confirms: bool,
}

fn list(args: &ListArgs, out: Output) -> Result<(), Failure> {
    let (own, allow) = match &args.policy {
        Some(file) => {
            let policy = read_policy(file)?;
            (policy.detectors, policy.detectors_allow)
        }
        None => Default::default(),
    };
    let custom = compile_custom(&own, &allow).map_err(cannot_mask)?;
    if !args.selectors.is_empty() {
        validate_masking_rule(&rule(args.selectors.clone(), None), &own)
            .map_err(|errors| misused(&errors))?;
    }
    let chosen = |detector: &&Detector| {
        args.selectors.is_empty() || args.selectors.iter().any(|s| chooses(s, detector.name()))
    };
    let detectors = catalogue().iter().chain(&custom).filter(chosen);
    let listed: Vec<Listed<'_>> = detectors
        .map(|detector| Listed {
            name: detector.name(),
            severity: detector.severity().to_string(),
            description: detector.description(),
            source: detector.source(),
            confirms: detector.confirms(),
        })
        .collect();
    if args.json || !out.is_text() {
        return Ok(out.json(&listed)?);
    }
    let mut table = Table::new(["NAME", "SEVERITY", "CHECKED", "DESCRIPTION", "SOURCE"]);
    for detector in &listed {
        let checked = if detector.confirms { "yes" } else { "" };
        let Listed {
            name,
            severity,
            description,
            source,
            ..
        } = detector;
        table.row([name, severity, checked, description, source]);
    }
    Ok(out.line(table.to_string())?)
}

/// A rule that masks what these detectors find, for use outside of a policy.
fn rule(detectors: Vec<String>, keys: Option<KeyList>) -> MaskingRule {
    MaskingRule {
        name: "detectors".to_owned(),
        detectors,
        keys,
        on: vec![Direction::Request],
        action: MaskingAction::Mask,
        keep: None,
        restore: false,
        connections: None,
    }
}

/// What `test` looks for.
struct Wanted {
    rule: MaskingRule,
    own: Vec<CustomDetector>,
    allow: Vec<Allow>,
}

fn wanted(args: &TestArgs) -> Result<Wanted, Failure> {
    let mut wanted = Wanted {
        rule: rule(Vec::new(), None),
        own: Vec::new(),
        allow: Vec::new(),
    };
    if let Some(file) = &args.detector {
        let file = read_detectors(file)?;
        wanted.rule.detectors = file.detectors.iter().map(|d| d.name.clone()).collect();
        wanted.own = file.detectors;
        wanted.allow = file.detectors_allow;
    } else if let Some(file) = &args.policy {
        let policy = read_policy(file)?;
        let mut keys = KeyNames::default();
        for rule in policy.masking {
            wanted.rule.detectors.extend(rule.detectors);
            keys = keys.and(rule.keys.map(|list| list.names()).unwrap_or_default());
        }
        if !keys.is_empty() {
            let names = keys.iter().map(str::to_owned).collect();
            wanted.rule.keys = Some(KeyList::Names(names));
        }
        wanted.own = policy.detectors;
        wanted.allow = policy.detectors_allow;
    } else {
        wanted.rule.detectors = catalogue().iter().map(|d| d.name().to_owned()).collect();
    }
    if !args.detectors.is_empty() {
        wanted.rule.detectors = args.detectors.clone();
        wanted.rule.keys = None;
    }
    validate_masking_rule(&wanted.rule, &wanted.own).map_err(|errors| misused(&errors))?;
    Ok(wanted)
}

fn test(args: &TestArgs, out: Output) -> Result<(), Failure> {
    let wanted = wanted(args)?;
    let text = read_text(&args.text)?;
    let plan =
        MaskingPlans::of_rule(&wanted.rule, &wanted.own, &wanted.allow).map_err(cannot_mask)?;
    let content = args.content.content(&text)?;
    let mut masker = Masker::new(Arc::clone(&plan), args.key.key()?, &content).keeping_changes();
    masker.push(&text);
    masker.finish();
    let finds = found::finds(&text, &masker, args.show_secrets);
    if out.is_text() {
        print_finds(&finds, args.show_secrets, out)?;
    } else {
        out.json(&finds)?;
    }
    if finds.is_empty() {
        return Err(Failure::failed("Nothing was found."));
    }
    Ok(())
}

fn print_finds(finds: &[found::Find], secrets: bool, out: Output) -> std::io::Result<()> {
    if finds.is_empty() {
        return Ok(());
    }
    let mut table = match secrets {
        true => Table::new(["DETECTOR", "LINE:COLUMN", "BYTES", "REPLACEMENT", "SECRET"]),
        false => Table::new(["DETECTOR", "LINE:COLUMN", "BYTES", "REPLACEMENT", ""]),
    };
    for find in finds {
        let bytes: Vec<String> = find
            .ranges
            .iter()
            .map(|range| format!("{}..{}", range.start, range.end))
            .collect();
        table.row([
            &find.detector,
            &format!("{}:{}", find.line, find.column),
            &bytes.join(","),
            &find.replacement,
            find.secret.as_deref().unwrap_or_default(),
        ]);
    }
    out.line(table.to_string())
}

fn read_text(text: &str) -> Result<Vec<u8>, Failure> {
    use std::io::Read as _;
    if text != "-" {
        return Ok(text.as_bytes().to_vec());
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(MAX_TEXT as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| Failure::failed(format!("Cannot read the input: {e}.")))?;
    if bytes.len() > MAX_TEXT {
        return Err(Failure::usage(format!(
            "The input is longer than {} MiB.",
            MAX_TEXT / (1024 * 1024)
        ))
        .next("`chaperone mask --stats` reads input of any length."));
    }
    Ok(bytes)
}

/// What `import` gives in JSON.
#[derive(Serialize)]
struct ImportedRules<'a> {
    detectors: &'a [CustomDetector],
    #[serde(skip_serializing_if = "<[Allow]>::is_empty")]
    detectors_allow: &'a [Allow],
    notes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    compiled: Option<Compiled>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Compiled {
    bytes: usize,
    seconds: f64,
}

fn import_rules(args: &ImportArgs, out: Output) -> Result<(), Failure> {
    let imported = gitleaks::import(&read_document(&args.file)?).map_err(|error| {
        Failure::failed(format!("Cannot import {}: {error}.", args.file.display()))
    })?;
    let mut notes = imported.notes;
    let refused = imported.refused.iter();
    notes.extend(refused.map(|r| {
        format!(
            "The rule {} is left out: {}.",
            r.rule,
            r.reason.trim_end_matches('.')
        )
    }));
    for note in &notes {
        // If standard error is gone there is nobody to tell.
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            format!("note: {}\n", super::output::clean(note)).as_bytes(),
        );
    }
    let (usable, unusable) = (imported.detectors.len(), imported.refused.len());
    if usable == 0 {
        return Err(Failure::failed(format!(
            "No rule of {} can be used; nothing was written.",
            args.file.display()
        ))
        .next("The notes above say why."));
    }
    if unusable > 0 && !args.skip_unusable {
        return Err(Failure::failed(format!(
            "{unusable} of {} rules of {} cannot be used; nothing was written.",
            usable.saturating_add(unusable),
            args.file.display()
        ))
        .next("Change them as the notes above say, or leave them out with --skip-unusable."));
    }
    let compiled = match args.check {
        true => Some(compiled(&imported.detectors, &imported.allow)?),
        false => None,
    };
    let yaml = yaml::detectors(&imported.detectors, &imported.allow);
    if let Some(file) = &args.to {
        write(file, &yaml)?;
    }
    if !out.is_text() {
        return Ok(out.json(&ImportedRules {
            detectors: &imported.detectors,
            detectors_allow: &imported.allow,
            notes: &notes,
            compiled,
        })?);
    }
    match compiled {
        Some(compiled) => {
            let line = format!(
                "{} detectors, {} not taken over; compiled in {:.2} s to {:.1} MiB",
                imported.detectors.len(),
                imported.refused.len(),
                compiled.seconds,
                compiled.bytes as f64 / (1024.0 * 1024.0),
            );
            Ok(out.line(line)?)
        }
        None if args.to.is_none() => Ok(out.raw(&yaml)?),
        None => Ok(()),
    }
}

fn compiled(detectors: &[CustomDetector], allow: &[Allow]) -> Result<Compiled, Failure> {
    let began = Instant::now();
    let custom = compile_custom(detectors, allow).map_err(cannot_mask)?;
    let names: Vec<&str> = detectors.iter().map(|d| d.name.as_str()).collect();
    let set = DetectorSet::compile_with(&names, &custom).map_err(cannot_mask)?;
    Ok(Compiled {
        bytes: set.memory(),
        seconds: began.elapsed().as_secs_f64(),
    })
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(file, text)
        .map_err(|e| Failure::failed(format!("Cannot write {}: {e}.", file.display())))
}
