/*
 * Happy path: clientConfig, in it emailProvider with its servers; oAuth2 in either of them. The
 * text of an element is gathered while it is the innermost one, and taken at its end.
 *
 * Failure modes, all ERR_SYNTAX:
 *   no XML, or no clientConfig around it     expat's words, or our own
 *   <!DOCTYPE                                the parser is stopped: there are no entities to expand
 *   depth, the text of an element            over their maximum
 *
 * Elements that are not known are passed over with all that is in them.
 */
#include "conf/autoconfig_reader.h"

#include <expat.h>
#include <string.h>

enum place { PLACE_NOWHERE, PLACE_ROOT, PLACE_PROVIDER, PLACE_ELEMENT, PLACE_FIELD };

struct reader {
    XML_Parser parser;
    enum place places[AUTOCONFIG_DEPTH_MAX + 1]; /* [depth]: what the innermost element is */
    unsigned depth;
    enum autoconfig_field field; /* in PLACE_FIELD */
    struct autoconfig_element element;
    struct buf text;
    const char *refusal; /* NULL: none */
    void (*on_element)(void *owner, const struct autoconfig_element *element);
    void *owner;
};

static const struct {
    enum autoconfig_field field;
    const char *name;
} field_names[] = {
    {AUTOCONFIG_HOSTNAME, "hostname"},
    {AUTOCONFIG_PORT, "port"},
    {AUTOCONFIG_SOCKET_TYPE, "socketType"},
    {AUTOCONFIG_USERNAME, "username"},
    {AUTOCONFIG_AUTHENTICATION, "authentication"},
    {AUTOCONFIG_ISSUER, "issuer"},
    {AUTOCONFIG_SCOPE, "scope"},
    {AUTOCONFIG_AUTHORIZATION_URL, "authURL"},
    {AUTOCONFIG_TOKEN_URL, "tokenURL"},
    {AUTOCONFIG_CLIENT_ID, "clientID"},
};

static void refuse(struct reader *reader, const char *why)
{
    if (reader->refusal == NULL)
        reader->refusal = why;
    (void)XML_StopParser(reader->parser, XML_FALSE);
}

/* ---- elements begin ---- */

static const char *attribute(const char **attributes, const char *name)
{
    for (; attributes[0] != NULL; attributes += 2)
        if (strcmp(attributes[0], name) == 0)
            return attributes[1];
    return "";
}

static void begin_fields(struct reader *reader)
{
    for (size_t i = 0; i < AUTOCONFIG_FIELDS; i++)
        buf_clear(&reader->element.fields[i]);
}

static enum place begin_server(struct reader *reader, bool is_incoming, const char *type)
{
    enum protocol protocol;

    if (protocol_find(type, &protocol) != 0 || is_incoming == (protocol == PROTOCOL_SMTP))
        return PLACE_NOWHERE;
    reader->element.is_server = true;
    reader->element.protocol = protocol;
    begin_fields(reader);
    return PLACE_ELEMENT;
}

static enum place begin_field(struct reader *reader, const char *name)
{
    for (size_t i = 0; i < LENGTH_OF(field_names); i++) {
        bool is_of_server = field_names[i].field < AUTOCONFIG_SERVER_FIELDS;
        if (is_of_server != reader->element.is_server || strcmp(field_names[i].name, name) != 0)
            continue;
        reader->field = field_names[i].field;
        buf_clear(&reader->text);
        return PLACE_FIELD;
    }
    return PLACE_NOWHERE;
}

static enum place begin(struct reader *reader, const char *name, const char **attributes)
{
    enum place around = reader->places[reader->depth];

    if (reader->depth == 0) {
        if (strcmp(name, "clientConfig") != 0)
            refuse(reader, "it is another document");
        return PLACE_ROOT;
    }
    if ((around == PLACE_ROOT || around == PLACE_PROVIDER) && strcmp(name, "oAuth2") == 0) {
        reader->element.is_server = false;
        begin_fields(reader);
        return PLACE_ELEMENT;
    }
    if (around == PLACE_ROOT)
        return strcmp(name, "emailProvider") == 0 ? PLACE_PROVIDER : PLACE_NOWHERE;
    if (around == PLACE_ELEMENT)
        return begin_field(reader, name);
    bool is_incoming = strcmp(name, "incomingServer") == 0;
    if (around == PLACE_PROVIDER && (is_incoming || strcmp(name, "outgoingServer") == 0))
        return begin_server(reader, is_incoming, attribute(attributes, "type"));
    return PLACE_NOWHERE;
}

static void XMLCALL on_start(void *owner, const XML_Char *name, const XML_Char **attributes)
{
    struct reader *reader = owner;

    if (reader->depth == AUTOCONFIG_DEPTH_MAX) {
        refuse(reader, "its elements are too deep");
        return;
    }
    enum place place = begin(reader, name, attributes);
    reader->places[++reader->depth] = place;
}

/* ---- and end ---- */

static bool is_blank(uint8_t octet)
{
    return octet == ' ' || octet == '\t' || octet == '\r' || octet == '\n';
}

static struct slice trimmed(struct slice text)
{
    while (text.size > 0 && is_blank(text.data[0]))
        text = slice_skip(text, 1);
    while (text.size > 0 && is_blank(text.data[text.size - 1]))
        text.size--;
    return text;
}

static void end_field(struct reader *reader)
{
    struct buf *field = &reader->element.fields[reader->field];
    bool is_list = reader->field == AUTOCONFIG_AUTHENTICATION;

    if (buf_size(field) > 0 && !is_list)
        return;
    if (buf_append(field, trimmed(buf_bytes(&reader->text))) != 0 ||
        (is_list && buf_append_string(field, " ") != 0))
        refuse(reader, "a text in it is too long");
}

static void XMLCALL on_end(void *owner, const XML_Char *name)
{
    struct reader *reader = owner;
    (void)name;

    /* expat may tell the end of an empty element after it was stopped. */
    if (reader->refusal != NULL)
        return;
    enum place place = reader->places[reader->depth--];
    if (place == PLACE_FIELD)
        end_field(reader);
    else if (place == PLACE_ELEMENT)
        reader->on_element(reader->owner, &reader->element);
}

static void XMLCALL on_text(void *owner, const XML_Char *text, int size)
{
    struct reader *reader = owner;

    if (reader->refusal == NULL && reader->places[reader->depth] == PLACE_FIELD &&
        buf_append(&reader->text, slice_of(text, (size_t)size)) != 0)
        refuse(reader, "a text in it is too long");
}

static void XMLCALL on_document_type(void *owner, const XML_Char *name, const XML_Char *system,
                                     const XML_Char *public, int has_subset)
{
    (void)name;
    (void)system;
    (void)public;
    (void)has_subset;
    refuse(owner, "it has a document type, which such a document has not");
}

/* ---- all ---- */

static int parse(struct reader *reader, struct slice document, struct err *err)
{
    XML_SetUserData(reader->parser, reader);
    XML_SetElementHandler(reader->parser, on_start, on_end);
    XML_SetCharacterDataHandler(reader->parser, on_text);
    XML_SetStartDoctypeDeclHandler(reader->parser, on_document_type);
    enum XML_Status status =
        XML_Parse(reader->parser, (const char *)document.data, (int)document.size, XML_TRUE);
    if (reader->refusal != NULL)
        return err_set(err, ERR_SYNTAX, "%s", reader->refusal);
    if (status == XML_STATUS_OK)
        return 0;
    return err_set(err, ERR_SYNTAX, "it is no XML: %s",
                   XML_ErrorString(XML_GetErrorCode(reader->parser)));
}

int autoconfig_reader_run(struct slice document,
                          void (*on_element)(void *owner, const struct autoconfig_element *element),
                          void *owner, struct err *err)
{
    struct reader reader = {
        .parser = XML_ParserCreate(NULL), .on_element = on_element, .owner = owner};

    ENSURE(reader.parser != NULL && document.size <= INT32_MAX);
    buf_init(&reader.text, AUTOCONFIG_TEXT_MAX);
    for (size_t i = 0; i < AUTOCONFIG_FIELDS; i++)
        buf_init(&reader.element.fields[i], AUTOCONFIG_TEXT_MAX);
    int status = parse(&reader, document, err);
    for (size_t i = 0; i < AUTOCONFIG_FIELDS; i++)
        buf_fini(&reader.element.fields[i]);
    buf_fini(&reader.text);
    XML_ParserFree(reader.parser);
    return status;
}
