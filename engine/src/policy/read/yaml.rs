//! From YAML to the tree.

use serde::de::{Deserialize, Deserializer};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Location, Spanned};

use super::text::{Format, Tree, ValueOf};
use super::tree::{Key, TreeNode};
use crate::policy::error::{Place, PolicyErrors, Position};

struct Yaml;

fn position(location: Location) -> Option<Position> {
    let (line, column) = (location.line(), location.column());
    (line > 0).then_some(Position { line, column })
}

impl Format for Yaml {
    fn node<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TreeNode, D::Error> {
        let spanned = Spanned::<ValueOf<Self>>::deserialize(deserializer)?;
        Ok(TreeNode {
            position: position(spanned.referenced),
            value: spanned.value.0,
        })
    }

    fn key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        let spanned = Spanned::<String>::deserialize(deserializer)?;
        Ok(Key {
            position: position(spanned.referenced),
            name: spanned.value,
        })
    }
}

/// Reads one YAML document.
pub(super) fn read(text: &str) -> Result<TreeNode, PolicyErrors> {
    let options = serde_saphyr::options! {
        // Aliases multiply: ten lines can stand for gigabytes ("billion laughs").
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 16,
        },
        budget: serde_saphyr::budget! {
            max_depth: 64,
            max_nodes: 250_000,
            max_events: 1_000_000,
            max_anchors: 1_000,
            max_documents: 1,
        },
        // Found by us, in the tree, where their paths are known.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        // `<<` overrides from afar; a reviewer should see the whole rule in one place.
        merge_keys: MergeKeyPolicy::Error,
        // YAML 1.2: `on`, `off`, `yes` and `no` are text.
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Tree<Yaml>>(text, options)
        .map(|tree| tree.0)
        .map_err(|error| {
            let error = error.without_snippet();
            let position = error.location().and_then(position);
            PolicyErrors::one(Place::default(), position, describe(error))
        })
}

fn describe(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error;
    match error {
        Error::MergeKeyNotAllowed { .. } => {
            "merge keys (`<<`) are not supported: write out what they stand for".into()
        }
        Error::MultipleDocuments { .. }
        | Error::Budget {
            breach: BudgetBreach::Documents { .. },
            ..
        } => "expected one document, found a second one after `---`".into(),
        other => {
            // The parser repeats the position at the end of its sentence.
            let words = other.to_string();
            let sentence = words.split(" at line ").next().unwrap_or_default();
            if sentence.starts_with("alias replay") {
                return "aliases (`*name`) stand for more than a policy may hold".into();
            }
            format!("not valid YAML: {sentence}")
        }
    }
}
