//! Refusals that come from before the API: faults and limits, in EC2's shape.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};

use crate::cloud::ApiError;

/// A refusal as an EC2 error document.
pub(crate) fn refuse(error: ApiError) -> Response {
    let (status, code) = match error.status {
        429 => (503, "RequestLimitExceeded"),
        500 => (500, "InternalError"),
        503 => (503, "Unavailable"),
        other => (other, "InvalidRequest"),
    };
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code><Message>{}</Message></Error>\
         </Errors><RequestID>{}</RequestID></Response>",
        quick_xml::escape::escape(&error.message),
        uuid::Uuid::new_v4(),
    );
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "text/xml;charset=UTF-8")], text).into_response()
}
