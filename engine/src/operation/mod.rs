//! What does the request do, in the upstream's own terms?
