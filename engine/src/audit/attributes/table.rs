//! The table: one row for each attribute of a record.

/// Hands the table of a record's attributes to the macro that is named.
///
/// A new attribute is one row here, a migration that adds its column, and the place in the filter
/// that knows its value and writes it into an event. Everything else is made of the row: the member
/// of the wire type with its documentation, the fold from events, the column with its binding and
/// reading, the search and the command line's words.
///
/// A row reads, each line but the first two being optional:
///
/// ```text
/// name {
///     kept TYPE, "documentation", text;      it is an attribute: its type, its documentation, and
///                                            `text` where a search for text looks at it
///     from (at, STEP) => VALUE, ...;         which step says it
///     asked PARAMETER: TYPE, "documentation";  a search may ask for it: equal, or held by a list
///     shown "Label" in UNIT;                 a line of `chaperone audit show`
/// }
/// ```
///
/// A row without `kept` is a question about a part of the record that is no attribute. `as` after a
/// type names the type that OpenAPI shows. The order is that of the record's JSON, of the search's
/// parameters and of the command line.
///
/// Weighed against it: a derive would be a crate of its own for one struct; a JSON map in one
/// column could not be indexed for searches, and no compiler would see a name that is spelled
/// wrong; a table of descriptors alone gives no fields with documentation.
#[macro_export]
macro_rules! record_attributes {
    ($expand:ident) => {
        $expand! {
            requests {
                kept Option<u64>, "How many refused requests the record stands for; what else it says of a request is said of the first one. Absent where a record is one request.";
                from (_, Aggregated(many)) => Some(many.requests);
                shown "Requests";
            }
            ended_at {
                kept Option<UnixMillis> as Option<u64>, "When it ended, by the node's clock.";
                from (at, Completed { .. } | Aborted { .. }) => Some(at),
                     (_, Aggregated(many)) => Some(many.last);
            }
            issuer {
                kept Option<String>, "Issuer of the caller's token. Of a refused one, issuer and subject are there if its signature was good, and nothing else is.";
                from (_, Received { principal: Some(principal), .. }) => Some(principal.issuer.clone()),
                     (_, Received { token_owner: Some(owner), .. }) => Some(owner.issuer.clone()),
                     (_, Aggregated(many)) => many.token_owner.as_ref().map(|owner| owner.issuer.clone());
            }
            subject {
                kept Option<String>, "Who called; or whom a refused token was made for.";
                from (_, Received { principal: Some(principal), .. }) => Some(principal.subject.clone()),
                     (_, Received { token_owner: Some(owner), .. }) => Some(owner.subject.clone()),
                     (_, Aggregated(many)) => many.token_owner.as_ref().map(|owner| owner.subject.clone());
                asked subject: String, "Who called.";
                shown "Subject";
            }
            agent {
                kept Option<String>, "The client that acted for the subject.";
                from (_, Received { principal: Some(principal), .. }) => principal.agent.clone();
                asked agent: String, "The client that acted.";
                shown "Agent";
            }
            session {
                kept Option<String>, "The agent run that it belongs to.";
                from (_, Received { principal: Some(principal), .. }) => principal.session.clone();
                asked session: String, "The agent run.";
                shown "Session";
            }
            groups {
                kept Vec<String>, "The caller's groups.";
                from (_, Received { principal: Some(principal), .. }) => principal.groups.clone();
                asked group: String, "A group that the caller was in.";
                shown "Groups";
            }
            source {
                kept Option<String>, "Address that the request came from, as Envoy trusts it, without port.";
                from (_, Received { source, .. }) => source.clone(),
                     (_, Aggregated(many)) => many.source.clone();
                asked source: String, "Address that the request came from.";
                shown "Source";
            }
            user_agent {
                kept Option<String>, "`user-agent`, masked and cut.";
                from (_, Received { user_agent, .. }) => user_agent.clone(),
                     (_, Aggregated(many)) => many.examples.first().and_then(|one| one.user_agent.clone());
                asked user_agent: String, "The user agent, all of it.";
                shown "User agent";
            }
            taken {
                kept Vec<String>, "Names of headers that did not go upstream as the agent wrote them.";
                from (_, Received { taken, .. }) => taken.clone();
                asked taken: String, "A header that was taken out.";
                shown "Taken out";
            }
            connection {
                kept Option<String>, "Connection by name; absent when the host belongs to none.";
                from (_, Received { connection, .. }) => connection.clone();
                asked connection: String, "Connection by name.";
                shown "Connection";
            }
            operation {
                kept Option<String>, "What the request does, in the upstream's terms.", text;
                from (_, Received { operation: Some(operation), .. }) => Some(operation.action.clone());
                shown "Operation";
            }
            attributes {
                kept BTreeMap<String, String>, "What else the protocol tells of the operation.";
                from (_, Received { operation: Some(operation), .. }) => operation.attributes.clone();
            }
            method {
                kept String, "HTTP method.";
                from (_, Received { request, .. }) => request.method.clone(),
                     (_, Aggregated(many)) => many.examples.first().map(|one| one.request.method.clone()).unwrap_or_default();
                asked method: String, "HTTP method.";
                shown "Request";
            }
            host {
                kept String, "Host.", text;
                from (_, Received { request, .. }) => request.host.clone(),
                     (_, Aggregated(many)) => many.examples.first().map(|one| one.request.host.clone()).unwrap_or_default();
            }
            path {
                kept String, "Path, masked.", text;
                from (_, Received { request, .. }) => request.path.clone(),
                     (_, Aggregated(many)) => many.examples.first().map(|one| one.request.path.clone()).unwrap_or_default();
            }
            query {
                kept Option<String>, "Query, masked.";
                from (_, Received { request, .. }) => request.query.clone();
            }
            effect {
                kept Option<Effect> as Option<String>, "The verdict; absent until there is one.";
                from (_, Decided { effect, .. }) => Some(*effect),
                     (_, Aggregated(_)) => Some(Effect::Deny);
                asked effect: Effect as Option<String>, "`allow`, `approve` or `deny`.";
                shown "Verdict";
            }
            rule {
                kept Option<String>, "The rule that decided.";
                from (_, Held { rule, .. }) => Some(rule.clone()),
                     (_, Decided { rule, .. }) => rule.clone();
                asked rule: String, "The rule that decided.";
                shown "Rule";
            }
            reason {
                kept Option<String>, "Why, as the agent was told.", text;
                from (_, Decided { reason, .. }) => Some(reason.clone());
                shown "Reason";
            }
            code {
                kept Option<String>, "Code of a refusal.";
                from (_, Decided { code, .. }) => code.clone(),
                     (_, Aggregated(many)) => many.code.clone(),
                    (_, Completed { timings, .. } | Aborted { timings, .. }) => timings.refused.clone();
                asked code: String, "Code of the refusal.";
            }
            status {
                kept Option<u16>, "HTTP status of the answer.";
                from (_, ResponseStarted { status } | Completed { status, .. }) => Some(*status),
                     (_, Aggregated(many)) => Some(many.status);
                asked status: u16, "HTTP status.";
                shown "Status";
            }
            state {
                asked state: RecordState as Option<String>, "`open`, `completed`, `aborted`, or `aggregated`: it stands for many refused requests.";
            }
            approval {
                kept Option<String>, "The approval that it waited for.";
                from (_, Held { approval, .. }) => Some(approval.clone()),
                     (_, Decided { approval: Some(approval), .. }) => Some(approval.id.clone());
                asked approval: String, "The approval that it waited for.";
                shown "Approval";
            }
            approved_by {
                kept Option<String>, "Who decided the approval: all who said yes, or the one who said no.";
                from (_, Decided { approval: Some(approval), .. }) => approval.by.clone();
                shown "Approved by";
            }
            node {
                asked node: String, "Name of the node.";
            }
            policy_version {
                kept Option<u64>, "Policy version that it ran under.";
                from (_, Received { policy_version, .. }) => *policy_version;
                asked policy_version: u64, "Policy version.";
                shown "Policy version";
            }
            request_id {
                kept Option<String>, "`x-request-id`, to join with access logs and traces.";
                from (_, Received { request_id, .. }) => request_id.clone();
                shown "Request id";
            }
            abort_cause {
                kept Option<String>, "Who ended it early: `downstream`, `upstream`, `filter` or `unknown`.";
                from (_, Aborted { cause, .. }) => Some(cause.as_str().to_owned());
                shown "Ended early by";
            }
            decided_ms {
                kept Option<u64>, "Until the verdict, including any wait for a human.";
                from (_, Completed { timings, .. } | Aborted { timings, .. }) => Some(timings.decided_ms);
                shown "Decided after" in milliseconds;
            }
            first_byte_ms {
                kept Option<u64>, "Until the response's headers.";
                from (_, Completed { timings, .. } | Aborted { timings, .. }) => timings.first_byte_ms;
                shown "First byte after" in milliseconds;
            }
            total_ms {
                kept Option<u64>, "Until the end.";
                from (_, Completed { timings, .. } | Aborted { timings, .. }) => Some(timings.total_ms);
                shown "Ended after" in milliseconds;
            }
            request_bytes {
                kept Option<u64>, "Request body bytes sent upstream.";
                from (_, Completed { timings, .. } | Aborted { timings, .. }) => Some(timings.request_bytes);
                shown "Sent upstream" in bytes;
            }
            response_bytes {
                kept Option<u64>, "Response body bytes sent to the agent.";
                from (_, Completed { timings, .. } | Aborted { timings, .. }) => Some(timings.response_bytes);
                shown "Sent to agent" in bytes;
            }
            masked {
                kept BTreeMap<String, u64>, "Secrets masked, by detector.";
                from (_, Completed { timings, .. } | Aborted { timings, .. }) => timings.masked.clone();
                shown "Masked";
            }
        }
    };
}
