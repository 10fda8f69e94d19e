//! The Amazon Web Services provider: EC2 and Route 53.
