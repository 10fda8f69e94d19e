//! How answers and errors are written, by protocol: the XML of EC2, of STS and Elastic Load Balancing, and of Route 53, and SSM's
//! JSON.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use serde_json::{Value, json};

use super::xml::Xml;
use remint_sandbox_cloud::{ApiError, ApiResult};

/// EC2's namespace.
const EC2: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
/// STS's namespace.
const STS: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
/// Elastic Load Balancing's namespace.
const ELB: &str = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";
/// Route 53's namespace.
const ROUTE53: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

/// Which of the services a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Ec2,
    Sts,
    Ssm,
    Route53,
    Elb,
}

/// What a call is answered with.
#[derive(Debug)]
pub(super) enum Answer {
    /// The elements of an answer that is XML.
    Xml(Xml),
    /// The same with another status than 200, and where the new resource is.
    Created(Xml, String),
    /// An answer that is JSON.
    Json(Value),
}

impl Service {
    /// The service of that name, as credentials are scoped to it.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "ec2" => Some(Self::Ec2),
            "sts" => Some(Self::Sts),
            "ssm" => Some(Self::Ssm),
            "route53" => Some(Self::Route53),
            "elasticloadbalancing" => Some(Self::Elb),
            _ => None,
        }
    }

    /// A good answer.
    pub(super) fn reply(self, operation: &str, request: &str, answer: Answer) -> Response<Body> {
        let (status, body, location) = match answer {
            Answer::Json(value) => (StatusCode::OK, value.to_string(), None),
            Answer::Xml(xml) => (StatusCode::OK, self.document(operation, request, &xml), None),
            Answer::Created(xml, location) => {
                (StatusCode::CREATED, self.document(operation, request, &xml), Some(location))
            }
        };
        let mut response = self.response(status, request, body);
        if let Some(location) = location.and_then(|location| HeaderValue::from_str(&location).ok()) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }

    fn document(self, operation: &str, request: &str, xml: &Xml) -> String {
        let root = format!("{operation}Response");
        match self {
            Self::Ec2 => {
                let mut whole = Xml::default();
                whole.text("requestId", request).append(xml);
                whole.document(&root, EC2)
            }
            Self::Sts | Self::Ssm | Self::Elb => {
                let mut whole = Xml::default();
                whole.node(&format!("{operation}Result"), |inside| {
                    inside.append(xml);
                });
                whole.node("ResponseMetadata", |inside| {
                    inside.text("RequestId", request);
                });
                whole.document(&root, if self == Self::Elb { ELB } else { STS })
            }
            Self::Route53 => xml.document(&root, ROUTE53),
        }
    }

    /// A refusal, in the service's words.
    pub(super) fn refuse(self, request: &str, error: &ApiError) -> Response<Body> {
        let (status, code, message) = self.translate(error);
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = if status.is_server_error() { "Receiver" } else { "Sender" };
        let mut xml = Xml::default();
        let body = match self {
            Self::Ssm => json!({ "__type": code, "message": message }).to_string(),
            Self::Ec2 => {
                xml.node("Errors", |xml| {
                    xml.node("Error", |xml| {
                        xml.text("Code", code).text("Message", message);
                    });
                });
                xml.text("RequestID", request);
                // The one document of EC2's that has no namespace.
                xml.bare("Response")
            }
            Self::Sts | Self::Route53 | Self::Elb => {
                let namespace = match self {
                    Self::Sts => STS,
                    Self::Elb => ELB,
                    _ => ROUTE53,
                };
                xml.node("Error", |xml| {
                    xml.text("Type", kind).text("Code", code).text("Message", message);
                });
                xml.text("RequestId", request);
                xml.document("ErrorResponse", namespace)
            }
        };
        self.response(status, request, body)
    }

    /// Status, code and message. The engine's and the fault rules' errors, which have core's names, become those that
    /// this service has for the same.
    fn translate(self, error: &ApiError) -> (u16, &str, &str) {
        match error.id {
            "rate_limited" => match self {
                Self::Ec2 => (503, "RequestLimitExceeded", "Request limit exceeded."),
                Self::Ssm => (400, "ThrottlingException", "Rate exceeded"),
                _ => (400, "Throttling", "Rate exceeded"),
            },
            "internal" => match self {
                Self::Ec2 => (500, "InternalError", "An internal error has occurred"),
                Self::Ssm => (500, "InternalServerError", "An error occurred on the server side."),
                _ => (500, "InternalFailure", "We encountered an internal error. Please try again."),
            },
            "unavailable" => match self {
                Self::Ec2 => (503, "Unavailable", "The server is overloaded and can't handle the request."),
                _ => (503, "ServiceUnavailable", "Service is unable to handle the request."),
            },
            // It has one code for what EC2 has several for.
            "MissingParameter" | "InvalidParameterValue" if self == Self::Elb => {
                (400, "ValidationError", &error.message)
            }
            "unsupported" => (501, "NotImplemented", &error.message),
            id => (error.status, id, &error.message),
        }
    }

    fn response(self, status: StatusCode, request: &str, body: String) -> Response<Body> {
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let kind = match self {
            Self::Ssm => "application/x-amz-json-1.1",
            Self::Ec2 => "text/xml;charset=UTF-8",
            Self::Sts | Self::Route53 | Self::Elb => "text/xml",
        };
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Ok(value) = HeaderValue::from_str(request) {
            response.headers_mut().insert("x-amzn-requestid", value);
        }
        response
    }
}

/// Writes the answer of a call that has nothing else to say.
pub(super) fn done(xml: &mut Xml) -> ApiResult<()> {
    xml.text("return", true);
    Ok(())
}

/// 400 with a code.
pub(super) fn refuse(code: &'static str, message: impl Into<String>) -> ApiError {
    ApiError { status: 400, id: code, message: message.into() }
}

/// A parameter that has to be there and is not.
pub(super) fn missing(name: &str) -> ApiError {
    refuse("MissingParameter", format!("The request must contain the parameter {name}"))
}

/// A parameter with a value that cannot be.
pub(super) fn invalid_value(message: impl Into<String>) -> ApiError {
    refuse("InvalidParameterValue", message)
}

/// A value that is none of those that a parameter may have.
pub(super) fn not_a(value: &str, parameter: &str) -> ApiError {
    invalid_value(format!("Invalid value '{value}' for {parameter}."))
}

/// An action that the service may have and the sandbox does not.
pub(super) fn unknown_action(action: &str) -> ApiError {
    tracing::warn!(action, "not implemented");
    refuse(
        "InvalidAction",
        format!("The action {action} is not valid for this web service (the sandbox does not have it)."),
    )
}

/// A parameter that AWS has and the sandbox does not.
pub(super) fn unsupported(what: &str) -> ApiError {
    refuse("UnsupportedOperation", format!("The sandbox does not implement {what}."))
}
