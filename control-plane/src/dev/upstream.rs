//! `--upstream NAME=URL` and its companions, parsed once into types.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::cli::failure::ArgumentError;

/// Where a connection's requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upstream {
    /// How.
    pub(crate) scheme: Scheme,
    /// Host name, or address (an IPv6 one in brackets, as in the URL).
    host: String,
    /// TCP port.
    pub(crate) port: u16,
    /// HTTP/2 instead of HTTP/1.1.
    pub(crate) http2: bool,
}

/// Plain or TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Plain HTTP.
    Http,
    /// TLS, verified against these roots and the URL's host.
    Https {
        /// PEM file with the roots.
        ca_bundle: PathBuf,
    },
}

/// What a person wrote as the URL of `--upstream`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UpstreamUrl {
    tls: bool,
    host: String,
    port: u16,
}

impl UpstreamUrl {
    /// Reads `http://host[:port]` or `https://host[:port]`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, ArgumentError> {
        let uri: http::Uri = text
            .parse()
            .map_err(|e| ArgumentError::new(format!("{text} is not a URL: {e}.")))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => {
                return Err(ArgumentError::new(format!(
                    "{text} must begin with http:// or https://."
                )));
            }
        };
        let authority = uri
            .authority()
            .map(http::uri::Authority::as_str)
            .unwrap_or_default();
        if authority.contains('@') {
            return Err(ArgumentError::new(format!(
                "The URL of {} carries a user name; give the upstream's credential with --credential NAME=FILE.",
                uri.host().unwrap_or("the upstream")
            )));
        }
        if uri.path() != "/" || uri.query().is_some() {
            // A prefix would make the path that policy decides on another than the one upstream
            // sees.
            return Err(ArgumentError::new(format!(
                "{text} has a path; an upstream is only scheme, host and port, as in {}://{authority}.",
                if tls { "https" } else { "http" }
            )));
        }
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host
            .ok_or_else(|| ArgumentError::new(format!("{text} names no host.")))?
            .to_ascii_lowercase();
        let port = match (uri.port_u16(), authority.rsplit_once(':')) {
            (Some(port), _) if port != 0 => port,
            (None, Some((_, rest))) if !rest.ends_with(']') => {
                return Err(ArgumentError::new(format!(
                    "{text} has no usable port after its colon."
                )));
            }
            (Some(_), _) => {
                return Err(ArgumentError::new(format!(
                    "{text} has port 0, which nothing listens on."
                )));
            }
            (None, _) => {
                if tls {
                    443
                } else {
                    80
                }
            }
        };
        Ok(Self { tls, host, port })
    }

    /// Whether it needs roots to trust.
    pub(crate) fn is_tls(&self) -> bool {
        self.tls
    }

    /// The upstream behind the URL.
    pub(crate) fn into_upstream(self, ca_bundle: PathBuf, http2: bool) -> Upstream {
        let scheme = if self.tls {
            Scheme::Https { ca_bundle }
        } else {
            Scheme::Http
        };
        Upstream {
            scheme,
            host: self.host,
            port: self.port,
            http2,
        }
    }
}

impl Upstream {
    /// The host without brackets, as a socket address or a certificate has it.
    pub(crate) fn address_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The address, when the host is one.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        self.address_host().parse().ok()
    }

    /// What goes upstream as `Host`: with the port unless it is the scheme's own (RFC 9110 §7.2).
    pub(crate) fn authority(&self) -> String {
        let default = match self.scheme {
            Scheme::Http => 80,
            Scheme::Https { .. } => 443,
        };
        if self.port == default {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// As a URL, for people.
    pub(crate) fn url(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https { .. } => "https",
        };
        format!("{scheme}://{}", self.authority())
    }
}

/// Splits `NAME=VALUE`.
///
/// # Errors
/// A sentence, when there is no name or no value.
pub(crate) fn named(text: &str, value: &str) -> Result<(String, String), ArgumentError> {
    match text.split_once('=') {
        Some((name, rest)) if !name.is_empty() && !rest.is_empty() => {
            Ok((name.to_owned(), rest.to_owned()))
        }
        _ => Err(ArgumentError::new(format!(
            "expected NAME={value}, where NAME is a connection of the policy"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(url: &str) -> Upstream {
        UpstreamUrl::parse(url)
            .unwrap()
            .into_upstream("/ca.pem".into(), false)
    }

    #[test]
    fn the_host_header_has_the_port_only_where_it_is_not_the_schemes_own() {
        for (url, authority) in [
            ("http://127.0.0.1:9000", "127.0.0.1:9000"),
            ("http://Upstream.example/", "upstream.example"),
            ("https://api.example.com:443", "api.example.com"),
            ("https://api.example.com:80", "api.example.com:80"),
            ("https://[::1]:8443", "[::1]:8443"),
        ] {
            assert_eq!(upstream(url).authority(), authority, "{url}");
        }
        assert_eq!(upstream("https://[::1]").address_host(), "::1");
    }

    #[test]
    fn what_is_no_plain_origin_is_refused_with_a_reason() {
        for (url, why) in [
            ("ftp://x", "must begin with"),
            ("api.example.com", "must begin with"),
            ("http://x/v1", "has a path"),
            ("http://x?y=1", "has a path"),
            ("http://user:EXAMPLE@x/", "--credential"),
            ("http://x:0", "port 0"),
            ("http://x:", "port"),
            ("http://", "not a URL"),
        ] {
            let error = UpstreamUrl::parse(url).unwrap_err().to_string();
            assert!(error.contains(why), "{url}: {error}");
            assert!(
                !error.contains("EXAMPLE"),
                "a credential in a URL is not repeated: {error}"
            );
        }
    }
}
