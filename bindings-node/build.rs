//! What the linker must know to make a module that Node.js can load.

fn main() {
    napi_build::setup();
}
