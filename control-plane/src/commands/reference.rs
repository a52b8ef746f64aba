//! `docs/cli.md` is what `--help` says, and a test keeps it so.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Command, CommandFactory as _};

const HEAD: &str = "\
# The command line

What `chaperone --help` and `chaperone COMMAND --help` say, in one page. Made from the program; do not
edit it here, but run

    UPDATE_DOCS=1 cargo test -p chaperone reference

Every command takes `--output json`. The control plane is found by `--server`, then `CHAPERONE_SERVER`,
then the last started `chaperone dev`; the token by `--token-file`, `CHAPERONE_TOKEN_FILE`,
`CHAPERONE_TOKEN`, in this order, and only for the last started `chaperone dev` by itself.

## Masking without a gate

`chaperone mask` runs the masker of the filter over standard input, and `chaperone detectors` says what it looks for.
Neither needs a control plane.

```text
$ echo '{\"user\":\"ann\",\"client_secret\":\"correct horse battery\"}' | chaperone mask --keys default --keep 4
{\"user\":\"ann\",\"client_secret\":\"[masked:clientsecret:90b915ee:tery]\"}

$ chaperone detectors test \"my token is $TOKEN, really\"
DETECTOR            LINE:COLUMN  BYTES   REPLACEMENT
secrets/github-pat  1:13         12..52  [masked:github-pat:251c148a]

$ chaperone mask --action block --stats < prompt.txt
clone with {\"findings\":{\"secrets/github-pat\":{\"count\":1,\"fingerprints\":[\"6a6acee4\"]}},\"blocked\":\"secrets/github-pat\",...
error: A secret (secrets/github-pat, fingerprint 6a6acee4) was found that may not pass; the output ends before it.

$ chaperone detectors import gitleaks.toml --check --to detectors.yaml
note: `path` is not looked at: the rule applies to all text (freemius-secret-key, hashicorp-tf-password, …)
note: rules without a regex are left out: they look at the names of files (pkcs12-file)
221 detectors, 0 not taken over; compiled in … s to 0.8 MiB
```
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut root = super::Cli::command().term_width(100);
    root.build();
    describe(&root, &mut page);
    page
}

fn describe(command: &Command, page: &mut String) {
    let name = command
        .get_bin_name()
        .unwrap_or(command.get_name())
        .to_owned();
    let help = command.clone().render_long_help().to_string();
    let help: String = help
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect::<String>();
    write!(page, "\n## {name}\n\n```text\n{}\n```\n", help.trim_end()).unwrap();
    for sub in command.get_subcommands() {
        if !sub.is_hide_set() && sub.get_name() != "help" {
            describe(sub, page);
        }
    }
}

#[test]
fn the_reference_says_what_help_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == page,
        "docs/cli.md is out of date; run `UPDATE_DOCS=1 cargo test -p chaperone reference`"
    );
}
