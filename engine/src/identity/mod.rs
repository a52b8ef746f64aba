//! Who is calling? Verification of JSON Web Tokens.
