use crate::policy::{Policy, parse, parse_json};

const DESIGN: &str = r#"
apiVersion: chaperone/v1
issuers:
  - issuer: https://login.microsoftonline.com/TENANT/v2.0
    audiences: [api://chaperone]
    claims: { subject: sub, groups: groups, agent: azp, session: sid }
connections:
  - { name: arm, hosts: [management.azure.com], protocol: azure-arm, credential: arm-sp, labels: { env: prod } }
  - { name: copilot, hosts: [api.githubcopilot.com], protocol: http }
rules:
  - name: platform-reads
    match: { connections: [arm], groups: [platform], operations: ["*/read"] }
    effect: allow
  - name: prod-writes-need-a-human
    match: { connections: [arm], groups: [platform], operations: ["*/write", "*/delete", "*/action"] }
    effect: approve
    approve: { by: [sre], count: 1, hold: 60s, expires: 1h, grant: once }
    reason: Changes to production need an SRE.
    audit: required
masking:
  - { name: secrets, detectors: ["secrets/*"], on: [request, response], action: mask }
tests:
  - { as: { groups: [platform] }, request: "DELETE https://management.azure.com/subscriptions/1/resourceGroups/prod-x", expect: approve, rule: prod-writes-need-a-human }
"#;

#[test]
fn a_written_policy_reads_back_as_itself() {
    let policy = parse(DESIGN).unwrap();
    let json = serde_json::to_string(&policy).unwrap();
    assert_eq!(parse_json(json.as_bytes()).unwrap(), policy);
    assert_eq!(parse(&json).unwrap(), policy);
    assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), policy);
}
