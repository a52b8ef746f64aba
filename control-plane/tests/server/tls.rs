//! TLS on the control plane's own listener.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chaperone::serve::{ClientCertificates, Patience, ServeConfig, TlsConfig};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::kit::{self, POLICY, Server, node};
use crate::process;
use crate::program;

/// An authority made for a test.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate with its key, PEM.
struct Certificate {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    fn certificate(&self, names: &[&str]) -> Certificate {
        self.certificate_until(names, 4000)
    }

    fn certificate_until(&self, names: &[&str], year: i32) -> Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        Certificate {
            certificate: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// A client that trusts this authority alone, with a connection of its own.
    fn client(&self, own: Option<&Certificate>) -> reqwest::Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority = reqwest::Certificate::from_pem(self.pem.as_bytes()).unwrap();
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([authority]);
        if let Some(own) = own {
            let pem = format!("{}\n{}", own.certificate, own.key);
            builder = builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap());
        }
        builder.build().unwrap()
    }
}

/// The files of a listener.
struct Files {
    dir: TempDir,
}

impl Files {
    fn new(certificate: &Certificate) -> Self {
        let files = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        files.put(certificate);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Replaces the files one after the other, as most programs do that renew certificates.
    fn put(&self, certificate: &Certificate) {
        self.write("tls.crt", &certificate.certificate);
        self.write("tls.key", &certificate.key);
    }

    fn config(&self) -> TlsConfig {
        TlsConfig {
            certificate: self.path("tls.crt"),
            key: self.path("tls.key"),
            clients: None,
        }
    }
}

async fn start(tls: TlsConfig, temp: &Path) -> Server {
    let patience = Patience {
        head: Duration::from_secs(1),
        ..Patience::DEFAULT
    };
    kit::start_as(ServeConfig {
        tls: Some(tls),
        patience,
        ..ServeConfig::new(temp.join("data"))
    })
    .await
}

fn url(server: &Server, path: &str) -> String {
    let port = server.running.as_ref().unwrap().addr.port();
    format!("https://localhost:{port}{path}")
}

/// Whether a new connection is made and answered.
async fn answers(server: &Server, client: &reqwest::Client) -> bool {
    let answer = client.get(url(server, "/healthz")).send().await;
    answer.is_ok_and(|answer| answer.status() == 200)
}

async fn poll(server: &Server, client: &reqwest::Client) -> (u16, String) {
    let body = json!({ "node": node("envoy-1", 1), "filter_version": "0", "wait_ms": 0 });
    let answer = client
        .post(url(server, "/node/v1/policy"))
        .bearer_auth(&server.node)
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_over_tls_and_neither_without() {
    let authority = Authority::new();
    let files = Files::new(&authority.certificate(&["localhost"]));
    let temp = tempfile::tempdir().unwrap();
    let server = start(files.config(), temp.path()).await;
    let client = authority.client(None);
    let answer = client.get(url(&server, "/healthz")).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.version()),
        (200, reqwest::Version::HTTP_2)
    );
    assert!(!answers(&server, &Authority::new().client(None)).await);
    let address = server.running.as_ref().unwrap().addr;
    let mut plain = TcpStream::connect(address).await.unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    plain.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[tokio::test]
async fn certificates_are_replaced_while_it_runs_and_bad_ones_never_are() {
    let (old, new) = (Authority::new(), Authority::new());
    let files = Files::new(&old.certificate(&["localhost"]));
    let temp = tempfile::tempdir().unwrap();
    let server = start(files.config(), temp.path()).await;
    let kept = old.client(None);
    let goes_on = async || {
        let call = kept
            .get(url(&server, "/api/v1/whoami"))
            .bearer_auth(&server.admin);
        call.send().await.is_ok_and(|answer| answer.status() == 200)
    };
    assert!(goes_on().await);

    // Neither garbage, nor a key of another certificate, nor a file that is not there replaces it.
    files.write("tls.crt", "garbage");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(answers(&server, &old.client(None)).await);
    files.write("tls.crt", &new.certificate(&["localhost"]).certificate);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(answers(&server, &old.client(None)).await);
    std::fs::remove_file(files.path("tls.key")).unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(answers(&server, &old.client(None)).await);

    files.put(&new.certificate(&["localhost"]));
    let replaced = async {
        while !answers(&server, &new.client(None)).await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), replaced)
        .await
        .expect("the new certificate is taken up");
    assert!(!answers(&server, &old.client(None)).await);
    // The connection from before goes on: this client trusts the old authority alone.
    assert!(goes_on().await);
}

#[tokio::test]
async fn nodes_have_to_show_a_certificate_where_they_are_asked_for_one() {
    let (authority, nodes) = (Authority::new(), Authority::new());
    let files = Files::new(&authority.certificate(&["localhost"]));
    files.write("nodes.pem", &nodes.pem);
    let tls = TlsConfig {
        clients: Some(ClientCertificates {
            authorities: files.path("nodes.pem"),
            of_everyone: false,
        }),
        ..files.config()
    };
    let temp = tempfile::tempdir().unwrap();
    let server = start(tls, temp.path()).await;
    let without = authority.client(None);
    let (status, problem) = poll(&server, &without).await;
    assert_eq!(status, 403, "{problem}");
    assert!(problem.contains("\"certificate_missing\""), "{problem}");
    let answer = without
        .get(url(&server, "/api/v1/whoami"))
        .bearer_auth(&server.admin);
    assert_eq!(
        answer.send().await.unwrap().status(),
        200,
        "people need none"
    );
    let with = authority.client(Some(&nodes.certificate(&["envoy"])));
    assert_eq!(poll(&server, &with).await.0, 200);
    let forged = authority.client(Some(&Authority::new().certificate(&["envoy"])));
    assert!(!answers(&server, &forged).await);
}

#[tokio::test]
async fn everybody_has_to_show_a_certificate_where_everybody_is_asked_for_one() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let files = Files::new(&authority.certificate(&["localhost"]));
    files.write("clients.pem", &clients.pem);
    let tls = TlsConfig {
        clients: Some(ClientCertificates {
            authorities: files.path("clients.pem"),
            of_everyone: true,
        }),
        ..files.config()
    };
    let temp = tempfile::tempdir().unwrap();
    let server = start(tls, temp.path()).await;
    assert!(!answers(&server, &authority.client(None)).await);
    let own = clients.certificate(&["carol"]);
    assert!(answers(&server, &authority.client(Some(&own))).await);

    // The command line brings its own, by flags and by the environment.
    files.write("ca.pem", &authority.pem);
    files.write("carol.crt", &own.certificate);
    files.write("carol.key", &own.key);
    let path = |name: &str| files.path(name).to_str().unwrap().to_owned();
    let run = async |arguments: &[&str], environment: &[(&str, &str)]| {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_chaperone"))
            .args(["policy", "list", "--server", &url(&server, "")])
            .args(arguments)
            .env("CHAPERONE_TOKEN", &server.admin)
            .envs(environment.iter().copied())
            .output()
            .await
            .unwrap()
    };
    let (ca, certificate, key) = (path("ca.pem"), path("carol.crt"), path("carol.key"));
    let flags = [
        "--ca-file",
        &ca,
        "--client-cert",
        &certificate,
        "--client-key",
        &key,
    ];
    let listed = run(&flags, &[]).await;
    assert!(listed.status.success(), "{listed:?}");
    let variables = [
        ("CHAPERONE_CA_FILE", ca.as_str()),
        ("CHAPERONE_CLIENT_CERT", certificate.as_str()),
        ("CHAPERONE_CLIENT_KEY", key.as_str()),
    ];
    let listed = run(&[], &variables).await;
    assert!(listed.status.success(), "{listed:?}");
    // Each failure says what to do.
    let refused = run(&["--ca-file", &ca], &[("CHAPERONE_CLIENT_CERT", "")]).await;
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    let said = process::said(&refused);
    assert!(
        said.contains("none was shown") && said.contains("--client-cert"),
        "{said}"
    );
    let untrusted = run(&flags[2..], &[]).await;
    assert_eq!(untrusted.status.code(), Some(3), "{untrusted:?}");
    let said = process::said(&untrusted);
    assert!(
        said.contains("not trusted here") && said.contains("--ca-file"),
        "{said}"
    );
    let foreign = Authority::new().certificate(&["mallory"]);
    files.write("carol.crt", &foreign.certificate);
    let said = process::said(&run(&flags, &[]).await);
    assert!(
        said.contains("carol.key is not the one of the first certificate"),
        "{said}"
    );
    files.write("carol.key", &foreign.key);
    let said = process::said(&run(&flags, &[]).await);
    assert!(
        said.contains("no authority that it trusts vouches for it"),
        "{said}"
    );
    files.write("carol.crt", "garbage");
    let said = process::said(&run(&flags, &[]).await);
    assert!(said.contains("carol.crt is not PEM"), "{said}");
}

#[tokio::test]
async fn handshakes_that_are_not_finished_are_closed() {
    let authority = Authority::new();
    let files = Files::new(&authority.certificate(&["localhost"]));
    let temp = tempfile::tempdir().unwrap();
    let server = start(files.config(), temp.path()).await;
    let address = server.running.as_ref().unwrap().addr;
    // The beginning of a ClientHello, and nothing at all.
    for begun in [&b"\x16\x03\x01\x02\x00\x01"[..], b""] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(begun).await.unwrap();
        let mut all = Vec::new();
        let read = stream.read_to_end(&mut all);
        let closed = tokio::time::timeout(Duration::from_secs(20), read).await;
        let _ = closed.expect("it is closed");
    }
    assert!(answers(&server, &authority.client(None)).await);
}

#[tokio::test]
async fn files_that_cannot_be_used_keep_it_from_starting_and_are_named() {
    let authority = Authority::new();
    let files = Files::new(&authority.certificate(&["localhost"]));
    files.write("tls.key", &authority.certificate(&["localhost"]).key);
    let temp = tempfile::tempdir().unwrap();
    let mut config = ServeConfig::new(temp.path().join("data"));
    config.listen.set_port(0);
    config.tls = Some(files.config());
    let error = chaperone::serve::serve(config, std::future::pending())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("tls.crt") && error.contains("tls.key"),
        "{error}"
    );
}

/// Whether some bytes of a key's own are in a text, as they stand in its file or in decimal.
fn quotes(text: &str, key: &str) -> bool {
    let body: String = key.lines().filter(|line| !line.contains("----")).collect();
    body.as_bytes().windows(8).any(|part| {
        let decimal: Vec<String> = part.iter().map(u8::to_string).collect();
        text.contains(&*String::from_utf8_lossy(part)) || text.contains(&decimal.join(", "))
    })
}

#[tokio::test]
async fn a_private_key_whose_file_is_damaged_is_not_written_to_the_log() {
    let authority = Authority::new();
    let own = authority.certificate(&["localhost"]);
    let files = Files::new(&own);
    let temp = tempfile::tempdir().unwrap();
    let flags = [
        "--tls-cert",
        files.path("tls.crt").to_str().unwrap(),
        "--tls-key",
        files.path("tls.key").to_str().unwrap(),
    ]
    .map(str::to_owned);
    let damaged = [
        own.key.replace('\n', " "),
        own.key.replace('\n', ""),
        own.key.replace('\n', "\\n"),
        own.key.replace("-----\n", "----\n"),
        own.key.replace("-----END", "-----"),
        own.key.replace('M', "!"),
    ];
    // At a start, as the key and beside the certificate.
    for damaged in &damaged {
        for name in ["tls.key", "tls.crt"] {
            files.put(&own);
            let whole = format!("{}{damaged}", own.certificate);
            files.write(name, if name == "tls.key" { damaged } else { &whole });
            files.write("tls.key", damaged);
            let why = process::refused_to_start_with(&temp.path().join("data"), &flags);
            assert!(why.contains(name), "{why}");
            assert!(!quotes(&why, &own.key), "{why}");
        }
    }
    // When the file is replaced.
    files.put(&own);
    let log = temp.path().join("log");
    let _running = process::serve_with(&temp.path().join("other"), &flags, &log);
    let said = |what: &str| {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        log.matches(what).count()
    };
    process::until("it listens", || (said("listens") == 1).then_some(())).await;
    for (before, damaged) in damaged.iter().enumerate() {
        files.write("tls.key", damaged);
        process::until("it is noticed", || {
            (said("cannot be used; those before stay in use") > before).then_some(())
        })
        .await;
    }
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(!quotes(&log, &own.key), "{log}");
    // The command line says no more.
    for damaged in &damaged {
        files.write("tls.key", damaged);
        let output = process::chaperone()
            .args(["policy", "list", "--server", "https://localhost:1"])
            .args(["--client-cert", &flags[1], "--client-key", &flags[3]])
            .env("CHAPERONE_TOKEN", "chp_x")
            .output()
            .unwrap();
        let said = process::said(&output);
        assert!(said.contains("tls.key"), "{said}");
        assert!(!quotes(&said, &own.key), "{said}");
    }
}

#[tokio::test]
async fn a_file_that_does_not_answer_a_read_keeps_it_from_neither_starting_nor_ending() {
    let authority = Authority::new();
    let own = authority.certificate(&["localhost"]);
    let files = Files::new(&own);
    let temp = tempfile::tempdir().unwrap();
    let server = start(files.config(), temp.path()).await;
    std::fs::remove_file(files.path("tls.key")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(files.path("tls.key"))
        .status();
    assert!(made.unwrap().success());
    let mut config = ServeConfig::new(temp.path().join("other"));
    config.listen.set_port(0);
    config.tls = Some(files.config());
    let error = chaperone::serve::serve(config, std::future::pending()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no regular file"), "{error}");
    // The one that runs takes up what comes in its place.
    let new = Authority::new();
    std::fs::remove_file(files.path("tls.key")).unwrap();
    files.put(&new.certificate(&["localhost"]));
    process::until("the new certificate is taken up", {
        let client = new.client(None);
        let address = url(&server, "/healthz");
        let (told, hears) = std::sync::mpsc::channel();
        tokio::spawn(async move {
            while client.get(&address).send().await.is_err() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            told.send(())
        });
        move || hears.try_recv().ok()
    })
    .await;
}

#[tokio::test]
async fn the_log_says_why_clients_are_refused_and_when_they_will_refuse() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let files = Files::new(&authority.certificate(&["localhost"]));
    files.write("clients.pem", &clients.pem);
    let path = |name: &str| files.path(name).to_str().unwrap().to_owned();
    let flags = [
        "--tls-cert".to_owned(),
        path("tls.crt"),
        "--tls-key".to_owned(),
        path("tls.key"),
        "--tls-client-ca".to_owned(),
        path("clients.pem"),
        "--tls-client-certs=everyone".to_owned(),
    ];
    let temp = tempfile::tempdir().unwrap();
    let log = temp.path().join("log");
    let _running = process::serve_with(&temp.path().join("data"), &flags, &log);
    let log = || std::fs::read_to_string(&log).unwrap_or_default();
    let address = process::until("it listens", || {
        let log = log();
        let (_, address) = log.split_once("the control plane listens addr=")?;
        Some(address.split_whitespace().next()?.to_owned())
    })
    .await;
    let port = address.rsplit_once(':').unwrap().1.to_owned();
    let expired = clients.certificate_until(&["carol"], 2001);
    let call = authority
        .client(Some(&expired))
        .get(format!("https://localhost:{port}/healthz"));
    assert!(call.send().await.is_err());
    let told = "refused for the client's certificate: it has expired";
    process::until("the refusal is told", || log().contains(told).then_some(())).await;
    files.put(&authority.certificate_until(&["localhost"], 2001));
    let told = "a certificate of the listener has expired";
    process::until("the expiry is told", || log().contains(told).then_some(())).await;
}

#[tokio::test]
async fn who_speaks_tls_to_plain_http_or_the_other_way_round_is_told_so() {
    let authority = Authority::new();
    let files = Files::new(&authority.certificate(&["localhost"]));
    let temp = tempfile::tempdir().unwrap();
    let secured = start(files.config(), temp.path()).await;
    let (plain, _temp) = kit::start().await;
    let said = async |server: &str| {
        let list = tokio::process::Command::new(env!("CARGO_BIN_EXE_chaperone"))
            .args(["policy", "list", "--server", server])
            .env("CHAPERONE_TOKEN", "chp_x")
            .env("CHAPERONE_CA_FILE", "")
            .output();
        process::said(&list.await.unwrap())
    };
    let text = said(&url(&secured, "").replace("https:", "http:")).await;
    assert!(
        text.contains("probably with TLS") && text.contains("https://"),
        "{text}"
    );
    let text = said(&plain.base.replace("http:", "https:")).await;
    assert!(
        text.contains("probably plain HTTP") && text.contains("http://"),
        "{text}"
    );
}

#[tokio::test]
async fn variables_without_a_value_say_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let environment = [
        "CHAPERONE_TLS_CERT",
        "CHAPERONE_TLS_KEY",
        "CHAPERONE_TLS_CLIENT_CA",
        "CHAPERONE_TLS_CLIENT_CERTS",
        "CHAPERONE_MAX_CONNECTIONS",
        "CHAPERONE_LOG",
    ]
    .map(|name| (name, ""));
    program::start(&temp.path().join("data"), 1024, &[], &environment).await;
}

/// An issuer on this machine that speaks TLS.
async fn issuer(certificate: &Certificate) -> String {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let chain = CertificateDer::from_pem_slice(certificate.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let issuer = format!("https://localhost:{port}");
    let named = issuer.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).await.unwrap_or_default();
            let discovery = String::from_utf8_lossy(&bytes[..read]).contains("well-known");
            let body = if discovery {
                json!({ "issuer": named, "jwks_uri": format!("{named}/keys") })
            } else {
                // RFC 8037, appendix A.2.
                json!({ "keys": [{ "kid": "one", "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA",
                    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] })
            };
            let body = body.to_string();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    issuer
}

#[tokio::test]
async fn keys_of_an_https_issuer_on_this_machine_are_fetched_with_the_systems_authorities() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = Authority::new();
    let issuer = issuer(&authority.certificate(&["localhost"])).await;
    let temp = tempfile::tempdir().unwrap();
    let roots = temp.path().join("roots.pem");
    std::fs::write(&roots, &authority.pem).unwrap();
    let environment = [("SSL_CERT_FILE", roots.to_str().unwrap())];
    let server = program::start(&temp.path().join("data"), 1024, &[], &environment).await;
    let document = POLICY.replace(
        "{ issuer: \"https://issuer.example.com\", audiences: [gate], jwks: { keys: [{ kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo }] } }",
        &format!("{{ issuer: \"{issuer}\", audiences: [gate] }}"),
    );
    assert!(document.contains(&issuer));
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap();
    let published = client
        .post(format!("http://{}/api/v1/policies", server.address))
        .bearer_auth(&server.admin)
        .body(json!({ "document": document }).to_string());
    let published = published.send().await.unwrap().text().await.unwrap();
    assert!(
        published.contains("\"version\":1") && !published.contains("warnings"),
        "{published}"
    );
}
