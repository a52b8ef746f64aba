//! Policies and detectors, read from files.

use std::path::Path;

use chaperone_engine::policy::{
    CompiledPolicy, DetectorsFile, Policy, PolicyError, PolicyErrors, parse, parse_detectors,
    parse_draft,
};

use super::failure::Failure;

/// Reads a document; `-` is standard input.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn read_document(file: &Path) -> Result<String, Failure> {
    let read = if is_stdin(file) {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    read.map_err(|e| Failure::usage(format!("Cannot read {}: {e}.", file.display())))
}

/// Reads a policy.
///
/// # Errors
/// One line per fault, each with its place.
pub(crate) fn read_policy(file: &Path) -> Result<Policy, Failure> {
    parse(&read_document(file)?).map_err(|errors| not_valid_policy(file, &errors))
}

/// Reads detectors from a file of their own.
///
/// # Errors
/// One line per fault, each with its place.
pub(crate) fn read_detectors(file: &Path) -> Result<DetectorsFile, Failure> {
    parse_detectors(&read_document(file)?)
        .map_err(|errors| not_valid(file, "a valid list of detectors", &errors))
}

/// Makes a policy ready to decide, and says what its author should look at.
///
/// # Errors
/// One line per fault, each with its place.
pub(crate) fn compile(text: &str) -> Result<(CompiledPolicy, Vec<PolicyError>), PolicyErrors> {
    let draft = parse_draft(text, None)?;
    Ok((CompiledPolicy::compile(draft.policy)?, draft.warnings))
}

/// How a command ends that cannot go on without the policy of `file`.
pub(crate) fn not_valid_policy(file: &Path, errors: &PolicyErrors) -> Failure {
    not_valid(file, "a valid policy", errors)
}

fn not_valid(file: &Path, what: &str, errors: &PolicyErrors) -> Failure {
    Failure::failed(format!(
        "{} is not {what}.\n{}",
        name(file),
        indented(errors)
    ))
}

/// The file as sentences name it.
pub(crate) fn name(file: &Path) -> String {
    if is_stdin(file) {
        "Standard input".to_owned()
    } else {
        file.display().to_string()
    }
}

/// One line per fault, set off from what says that there are some.
pub(crate) fn indented(errors: &PolicyErrors) -> String {
    errors
        .to_string()
        .lines()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}
