//! The parts of `chaperone policy` that need no control plane: the engine that decides in the
//! filter decides here.

use std::path::{Path, PathBuf};

use chaperone_engine::gate::MaskingPlans;
use chaperone_engine::identity::Principal;
use chaperone_engine::policy::{
    CompiledPolicy, PolicyError, PolicyErrors, TestOutcome, needs, schema as json_schema,
};
use serde::Serialize;

use crate::cli::args::EffectArg;
use crate::cli::document::{compile, indented, name, not_valid_policy, read_document};
use crate::cli::failure::{ArgumentError, Failure};
use crate::cli::output::Output;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaperone policy explain policy.yaml 'GET https://api.example.com/v1/models' --groups dev
  chaperone policy explain policy.yaml 'DELETE https://management.azure.com/subscriptions/1' \\
      --as subject=alice,groups=platform,sre,agent=codex

The exit code is 0 whatever the verdict; --expect makes another verdict exit code 1.")]
pub(crate) struct ExplainArgs {
    /// The document, YAML or JSON; - is standard input
    file: PathBuf,
    /// The request, as 'METHOD URL'
    request: String,
    /// Who asks: subject=S,groups=A,B,agent=N,issuer=I,session=X, each optional
    #[arg(long = "as", value_name = "CALLER", value_parser = CallerArg::parse, default_value = "")]
    caller: CallerArg,
    /// Groups of the caller, beside those of --as
    #[arg(long, value_delimiter = ',', value_name = "GROUP,…")]
    groups: Vec<String>,
    /// Fail unless this is the verdict
    #[arg(long, value_enum)]
    expect: Option<EffectArg>,
}

/// The caller of `explain`, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct CallerArg {
    issuer: Option<String>,
    subject: Option<String>,
    agent: Option<String>,
    session: Option<String>,
    groups: Vec<String>,
}

impl CallerArg {
    /// Reads `subject=alice,groups=a,b,agent=codex`: what has no `=` goes on with the groups.
    fn parse(text: &str) -> Result<Self, ArgumentError> {
        let mut caller = Self::default();
        let mut in_groups = false;
        for part in text.split(',').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some(("groups", group)) => {
                    in_groups = true;
                    caller
                        .groups
                        .extend((!group.is_empty()).then(|| group.to_owned()));
                }
                Some((key, value)) => {
                    let field = match key {
                        "subject" => &mut caller.subject,
                        "issuer" => &mut caller.issuer,
                        "agent" => &mut caller.agent,
                        "session" => &mut caller.session,
                        _ => {
                            return Err(ArgumentError::new(format!(
                                "{key} is nothing that a caller has: expected subject, groups, agent, issuer or session"
                            )));
                        }
                    };
                    *field = Some(value.to_owned());
                    in_groups = false;
                }
                None if in_groups => caller.groups.push(part.to_owned()),
                None => {
                    return Err(ArgumentError::new(format!(
                        "{part} stands alone: expected KEY=VALUE, as in subject=alice,groups=a,b"
                    )));
                }
            }
        }
        Ok(caller)
    }

    fn into_principal(self, more_groups: &[String], policy: &CompiledPolicy) -> Principal {
        let first = policy
            .policy()
            .issuers
            .first()
            .map(|issuer| issuer.issuer.clone());
        let mut groups = self.groups;
        for group in more_groups {
            if !groups.contains(group) {
                groups.push(group.clone());
            }
        }
        Principal {
            issuer: self.issuer.or(first).unwrap_or_default(),
            subject: self.subject.unwrap_or_else(|| "test".to_owned()),
            groups,
            agent: self.agent,
            session: self.session,
        }
    }
}

fn load(file: &Path) -> Result<CompiledPolicy, Failure> {
    match compile(&read_document(file)?) {
        Ok((policy, _)) => Ok(policy),
        Err(errors) => Err(not_valid_policy(file, &errors)),
    }
}

#[derive(Serialize)]
struct Validated {
    file: String,
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<PolicyErrors>,
    /// What is not wrong and was probably not meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<PolicyError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tests: Option<Vec<TestOutcome>>,
    /// Memory that the compiled detectors take in each worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    detectors_bytes: Option<usize>,
    /// The lowest revision of the policy language that reads the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    needs_revision: Option<u32>,
}

/// `chaperone policy validate`.
pub(crate) fn validate(files: &[PathBuf], out: Output) -> Result<(), Failure> {
    check(files, out, false)
}

/// `chaperone policy test`.
pub(crate) fn test(files: &[PathBuf], out: Output) -> Result<(), Failure> {
    check(files, out, true)
}

fn check(files: &[PathBuf], out: Output, run_tests: bool) -> Result<(), Failure> {
    let mut results = Vec::new();
    let mut failed = 0_usize;
    for file in files {
        let mut result = Validated {
            file: file.display().to_string(),
            valid: true,
            errors: None,
            warnings: Vec::new(),
            tests: None,
            detectors_bytes: None,
            needs_revision: None,
        };
        // What a node could not make ready is not valid either.
        let compiled = compile(&read_document(file)?).and_then(|(policy, warnings)| {
            result.warnings = warnings;
            let plans = MaskingPlans::compile(policy.policy(), None);
            plans
                .map(|plans| (policy, plans))
                .map_err(|error| PolicyErrors::of_document(error.to_string()))
        });
        match compiled {
            Err(errors) => {
                result.valid = false;
                failed += 1;
                if out.is_text() {
                    out.line(format!("{}: not valid\n{}", name(file), indented(&errors)))?;
                }
                result.warnings.extend_from_slice(errors.warnings());
                result.errors = Some(errors);
            }
            Ok((policy, _)) if run_tests => {
                let outcomes = policy.run_tests();
                let missed = outcomes.iter().filter(|outcome| !outcome.passed).count();
                failed += missed;
                if out.is_text() {
                    print_outcomes(file, &outcomes, missed, out)?;
                }
                result.tests = Some(outcomes);
            }
            Ok((policy, plans)) => {
                let needs = needs(policy.policy());
                if out.is_text() {
                    out.line(format!(
                        "{}: valid ({})",
                        name(file),
                        summary(&policy, &plans)
                    ))?;
                    if needs.revision > 1 {
                        out.line(format!(
                            "  Only filters that read revision {} of the policy language can enforce it: {}",
                            needs.revision,
                            needs.constructs.join(", ")
                        ))?;
                    }
                }
                result.needs_revision = Some(needs.revision);
                result.detectors_bytes = Some(plans.memory());
            }
        }
        if out.is_text() {
            for warning in &result.warnings {
                out.line(format!("  warning: {warning}"))?;
            }
        }
        results.push(result);
    }
    if !out.is_text() {
        out.json(&results)?;
    }
    match (failed, run_tests) {
        (0, _) => Ok(()),
        (1, true) => Err(Failure::failed("One check failed.")),
        (n, true) => Err(Failure::failed(format!("{n} checks failed."))),
        (1, false) => Err(Failure::failed("One document is not valid.")),
        (n, false) => Err(Failure::failed(format!("{n} documents are not valid."))),
    }
}

fn print_outcomes(
    file: &Path,
    outcomes: &[TestOutcome],
    missed: usize,
    out: Output,
) -> std::io::Result<()> {
    if outcomes.is_empty() {
        return out.line(format!("{}: valid, but it has no tests", name(file)));
    }
    out.line(format!("{}:", name(file)))?;
    for outcome in outcomes {
        out.line(format!("  {outcome}"))?;
    }
    out.line(format!(
        "  {} passed, {missed} failed",
        outcomes.len() - missed
    ))
}

fn summary(policy: &CompiledPolicy, plans: &MaskingPlans) -> String {
    let policy = policy.policy();
    let count = |n: usize, what: &str| {
        if n == 1 {
            format!("1 {what}")
        } else {
            format!("{n} {what}s")
        }
    };
    let masking = match plans.memory() {
        0 => String::new(),
        bytes => format!(
            ", {:.1} MiB of compiled detectors",
            bytes as f64 / (1024.0 * 1024.0)
        ),
    };
    format!(
        "{}, {}, {}, {}{masking}",
        count(policy.issuers.len(), "issuer"),
        count(policy.connections.len(), "connection"),
        count(policy.rules.len(), "rule"),
        count(policy.tests.len(), "test"),
    )
}

/// `chaperone policy explain`.
pub(crate) fn explain(args: &ExplainArgs, out: Output) -> Result<(), Failure> {
    let policy = load(&args.file)?;
    let principal = args.caller.clone().into_principal(&args.groups, &policy);
    let explanation = policy
        .explain_request(&principal, &args.request)
        .map_err(|e| {
            Failure::usage(format!("Cannot read the request: {e}."))
                .next("It is written like 'GET https://api.example.com/v1/models'.")
        })?;
    if out.is_text() {
        out.line(explanation.to_string())?;
    } else {
        out.json(&serde_json::json!({ "principal": principal, "explanation": explanation }))?;
    }
    match args.expect.map(EffectArg::effect) {
        Some(expected) if expected != explanation.decision.effect => Err(Failure::failed(format!(
            "Expected {expected}, the policy decides {}.",
            explanation.decision.effect
        ))),
        _ => Ok(()),
    }
}

/// `chaperone policy schema`.
pub(crate) fn schema(out: Output) -> Result<(), Failure> {
    Ok(out.json(&json_schema())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_written_on_one_line() {
        let caller = CallerArg::parse("subject=alice,groups=a,b,agent=codex").unwrap();
        assert_eq!(caller.groups, ["a", "b"]);
        assert_eq!(caller.subject.as_deref(), Some("alice"));
        assert_eq!(caller.agent.as_deref(), Some("codex"));
        assert_eq!(CallerArg::parse("").unwrap(), CallerArg::default());
        for wrong in ["alice", "group=a", "subject=alice,bob"] {
            assert!(CallerArg::parse(wrong).is_err(), "{wrong}");
        }
    }
}
