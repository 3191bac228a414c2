//! What a signed-in request costs inside the proxy.

fn main() {
    divan::main();
}
