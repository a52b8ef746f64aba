//! Why the control plane could not be spoken to, in sentences that say what to do.
//!
//! The text of an error of TLS is for who knows TLS: `channel closed` for a client certificate that
//! is missing, `received corrupt message of type InvalidContentType` for plain HTTP on the other
//! side. The errors themselves lie in the chain of causes, and are told apart by their types.

use std::error::Error;

use rustls::{AlertDescription, CertificateError, InvalidMessage};

/// Why a call failed, and what helps.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cause {
    /// Goes on behind the name of the control plane.
    pub(super) sentence: String,
    /// What to do next, a sentence.
    pub(super) next: &'static str,
}

const IS_IT_RUNNING: &str = "Is `chaperone serve` or `chaperone dev` running there? --server and CHAPERONE_SERVER say where to look.";
const SHOW_ONE: &str = "--client-cert and --client-key name a certificate of an authority that it trusts (--tls-client-ca), and its key.";
const TRUST_IT: &str = "--ca-file names the authorities that vouch for the control plane.";
const NAME_IT: &str = "--server has to have a name or an address that its certificate has.";
const RENEW_IT: &str =
    "It needs a new certificate; or the clock of one of the two machines is wrong.";
const RENEW_YOURS: &str =
    "You need a new client certificate; or the clock of one of the two machines is wrong.";

/// What a call to a URL of this scheme ended with.
pub(super) fn of(error: &(dyn Error + 'static), scheme: &str) -> Cause {
    let found = find::<rustls::Error>(error).and_then(of_tls);
    if let Some((sentence, next)) = found {
        let sentence = sentence.to_owned();
        return Cause { sentence, next };
    }
    let of_http = find::<hyper::Error>(error);
    if scheme == "http" && of_http.is_some_and(hyper::Error::is_parse) {
        return Cause {
            sentence: "answers with something else than HTTP, probably with TLS".to_owned(),
            next: "Does --server have to begin with https://?",
        };
    }
    let reset = find::<std::io::Error>(error).is_some_and(|error| {
        use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
    });
    if scheme == "https" && reset {
        return Cause {
            sentence: "has ended the connection while TLS was agreed on".to_owned(),
            next: "Does it ask for a client certificate (--client-cert, --client-key), or speak plain HTTP?",
        };
    }
    let mut last: &dyn Error = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    Cause {
        sentence: format!("does not answer: {last}"),
        next: IS_IT_RUNNING,
    }
}

/// An error with all that caused it.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// An error of a type among the causes. One of input or output hides what is in it from its chain.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        let within = cause.downcast_ref::<std::io::Error>();
        if let Some(within) = within.and_then(std::io::Error::get_ref) {
            let within: &(dyn Error + 'static) = within;
            if let Some(found) = find(within) {
                return Some(found);
            }
        }
        next = cause.source();
    }
    None
}

fn of_tls(error: &rustls::Error) -> Option<(&'static str, &'static str)> {
    let cause = match error {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => (
            "does not speak TLS, probably plain HTTP",
            "`chaperone serve` speaks TLS with --tls-cert and --tls-key. Without, --server has to begin with http://.",
        ),
        rustls::Error::AlertReceived(alert) => of_alert(*alert)?,
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer => (
                "shows a certificate of an authority that is not trusted here",
                TRUST_IT,
            ),
            CertificateError::BadSignature => (
                "shows a certificate that the trusted authority of that name has not signed",
                TRUST_IT,
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                ("shows a certificate for another name", NAME_IT)
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                ("shows a certificate that has expired", RENEW_IT)
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                ("shows a certificate that is not valid yet", RENEW_IT)
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => (
                "shows a certificate that is not for servers",
                "Its extended key usage has to name servers (serverAuth).",
            ),
            _ => return None,
        },
        rustls::Error::PeerIncompatible(_) => (
            "speaks no version of TLS that is spoken here",
            "TLS 1.2 and 1.3 are.",
        ),
        _ => return None,
    };
    Some(cause)
}

/// What the other side has said about us.
fn of_alert(alert: AlertDescription) -> Option<(&'static str, &'static str)> {
    let cause = match alert {
        AlertDescription::CertificateRequired => (
            "asks for a client certificate, and none was shown",
            SHOW_ONE,
        ),
        AlertDescription::CertificateExpired => (
            "says that the client certificate has expired or is not valid yet",
            RENEW_YOURS,
        ),
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::DecryptError
        | AlertDescription::AccessDenied => (
            "does not accept the client certificate: no authority that it trusts vouches for it",
            SHOW_ONE,
        ),
        AlertDescription::UnsupportedCertificate => (
            "does not accept the client certificate: it is of a kind that is not for clients",
            "Its extended key usage has to name clients (clientAuth).",
        ),
        AlertDescription::CertificateRevoked => {
            ("says that the client certificate was revoked", SHOW_ONE)
        }
        AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion => (
            "could not agree on TLS",
            "TLS 1.2 and 1.3 are spoken here. Does it ask for a client certificate (--client-cert, --client-key)?",
        ),
        _ => return None,
    };
    Some(cause)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn an_error_of_tls_is_found_within_one_of_the_connection() {
        let told = |error: rustls::Error| {
            let error = io::Error::new(io::ErrorKind::InvalidData, error);
            let wrapped = io::Error::other(error);
            of(&wrapped, "https")
        };
        for (error, sentence, next) in [
            (
                rustls::Error::AlertReceived(AlertDescription::CertificateRequired),
                "asks for a client certificate",
                "--client-cert",
            ),
            (
                rustls::Error::AlertReceived(AlertDescription::UnknownCA),
                "does not accept the client certificate",
                "--client-cert",
            ),
            (
                rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer),
                "not trusted here",
                "--ca-file",
            ),
            (
                rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType),
                "plain HTTP",
                "http://",
            ),
        ] {
            let cause = told(error);
            assert!(cause.sentence.contains(sentence), "{cause:?}");
            assert!(cause.next.contains(next), "{cause:?}");
        }
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        assert!(of(&reset, "https").next.contains("--client-cert"));
        assert!(of(&reset, "http").sentence.contains("does not answer"));
    }
}
