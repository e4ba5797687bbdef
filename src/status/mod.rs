//! The technician's page, the API and the health checks.
