use super::*;
use crate::request::RequestTarget;

fn target(path: &str) -> RequestTarget {
    RequestTarget::parse(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn arm(method: &str, path: &str) -> Result<Operation, OperationError> {
    Operation::of(Protocol::AzureArm, method, &target(path))
}

fn arm_action(method: &str, path: &str) -> String {
    arm(method, path)
        .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
        .action
}

/// How policies match actions: without case, `*` for anything.
fn matches_suffix(action: &str, suffix: &str) -> bool {
    action.to_ascii_lowercase().ends_with(suffix)
}

mod azure_arm;
mod azure_arm_proxies;
mod azure_arm_secrets;
mod dialects;
mod kubernetes;

mod http {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_operation_is_method_and_path() {
        let of = |method, path| {
            Operation::of(Protocol::Http, method, &target(path))
                .unwrap()
                .action
        };
        assert_eq!(of("GET", "/v1/models?limit=3"), "GET /v1/models");
        assert_eq!(of("POST", "/v1/models/"), "POST /v1/models");
        assert_eq!(of("GET", "/"), "GET /");
        assert_eq!(of("GET", "/%61dmin"), "GET /admin");
        assert_eq!(of("GET", "/caf%c3%a9"), "GET /caf%C3%A9");
        assert_eq!(
            of("PURGE", "/v1/models/gemini:generate"),
            "PURGE /v1/models/gemini:generate"
        );
    }

    #[test]
    fn a_path_parameter_is_ambiguous() {
        let error = Operation::of(Protocol::Http, "GET", &target("/admin;x/keys")).unwrap_err();
        assert_eq!(error.code(), "ambiguous_path");
        assert!(Operation::of(Protocol::Http, "GET", &target("/a%3Bb")).is_ok());
    }
}

mod names {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_protocol_is_named_as_policies_write_it() {
        for protocol in Protocol::ALL {
            let written = serde_json::to_value(protocol).unwrap();
            assert_eq!(written, protocol.name());
        }
    }
}

mod methods {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_method_that_another_reader_would_read_as_another_is_refused() {
        for method in ["get", "Delete", "", "GET /x", "GE\u{0}T", "PÖST", "A*"] {
            for protocol in Protocol::ALL {
                let error = Operation::of(*protocol, method, &target("/")).unwrap_err();
                assert_eq!(error.code(), "invalid_method", "{method:?}");
            }
        }
    }

    #[test]
    fn a_method_whose_answer_is_the_request_is_refused() {
        for method in ["TRACE", "TRACK", "DEBUG"] {
            for protocol in Protocol::ALL {
                let error = Operation::of(*protocol, method, &target("/")).unwrap_err();
                assert_eq!(error, OperationError::EchoingMethod, "{method}");
                assert_eq!(error.code(), "invalid_method");
            }
        }
        for method in ["TRACES", "LINK", "PURGE", "PROPFIND"] {
            assert!(Operation::of(Protocol::Http, method, &target("/")).is_ok());
        }
    }

    #[test]
    fn a_query_parameter_that_overrides_the_method_is_refused() {
        for query in [
            "_method=DELETE",
            "a=1&_METHOD=DELETE",
            "%5Fmethod=PUT",
            "a;_method",
            "x-http-method-override=PUT",
        ] {
            let error =
                Operation::of(Protocol::Http, "POST", &target(&format!("/x?{query}"))).unwrap_err();
            assert_eq!(error.code(), "method_override", "{query}");
        }
        assert!(
            Operation::of(Protocol::Http, "POST", &target("/x?the_method=1&m=_method")).is_ok()
        );
    }
}

/// Generated cases; natively only, as proptest asks the host for randomness.
#[cfg(not(target_arch = "wasm32"))]
mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(crate::testing::cases(2000)))]

        /// A rule is refused for an operation that none of these sets has, so none may be missing
        /// there.
        #[cfg(feature = "authoring")]
        #[test]
        fn every_operation_is_one_that_the_protocol_says_it_has(
            path in "(/([a-zA-Z0-9._~!$&'()*+,=:@ -]|%[2-7eE][0-9a-fA-F]|%[cC]3%[aAbB][0-9]|subscriptions|providers|Microsoft.X|listKeys){0,6}){1,7}",
            method in "GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|X-1",
        ) {
            let Ok(target) = RequestTarget::parse(&path) else { return Ok(()) };
            for protocol in Protocol::ALL {
                let Ok(operation) = Operation::of(*protocol, &method, &target) else { continue };
                for methods in [&[][..], &[method.as_str()], &["GET", method.as_str()]] {
                    let requests = Requests { methods, paths: None };
                    let all = regex_lite::Regex::new(&format!("^(?:{})$", protocol.operations(&requests))).unwrap();
                    prop_assert!(all.is_match(&operation.action.to_ascii_lowercase()), "{} {}", protocol, operation.action);
                }
            }
        }

        #[test]
        fn no_request_panics(path in any::<String>(), method in any::<String>()) {
            for path in [path.clone(), format!("/{path}"), format!("http://{path}")] {
                if let Ok(target) = RequestTarget::parse(&path) {
                    for protocol in Protocol::ALL {
                        let _ = Operation::of(*protocol, &method, &target);
                        let _ = Operation::of(*protocol, "POST", &target);
                    }
                }
            }
        }
    }
}
