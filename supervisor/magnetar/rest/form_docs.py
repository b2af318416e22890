"""What OpenAPI tells of the forms, which are read as they stream in and not by the framework."""

from typing import Any

_FILE = {"type": "string", "format": "binary"}
_TEXT = {"type": "string"}
_CONFIG = {
    "type": "string",
    "description": "the function's config in JSON",
    "contentMediaType": "application/json",
    "contentSchema": {"$ref": "#/components/schemas/FunctionConfig"},
}
_STATE = {
    "type": "string",
    "description": "JSON: key, and one of stringValue, byteValue (Base64) and numberValue",
    "contentMediaType": "application/json",
}
_URL = {"type": "string", "description": "the package's address: function://, http://, https:// or file://"}


def _form(**parts: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": parts}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


CREATE_FORM = _form(functionConfig=_CONFIG, data=_FILE, url=_URL)
UPDATE_FORM = _form(functionConfig=_CONFIG, data=_FILE, url=_URL, updateOptions=_TEXT)
TRIGGER_FORM = _form(data=_TEXT, dataStream=_FILE, topic=_TEXT)
UPLOAD_FORM = _form(data=_FILE, path=_TEXT)
STATE_FORM = _form(state=_STATE)
LEADER_FORM = _form(functionMetaData=_FILE, delete=_TEXT)
