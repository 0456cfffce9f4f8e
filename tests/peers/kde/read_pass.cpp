// Prints as JSON what KDE's reader of passes makes of a file: read_pass FILE
#include <KPkPass/Barcode>
#include <KPkPass/Field>
#include <KPkPass/Location>
#include <KPkPass/Pass>
#include <QColor>
#include <QCoreApplication>
#include <QCryptographicHash>
#include <QDateTime>
#include <QImage>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <cstdio>

using namespace KPkPass;

static QJsonValue moment(const QDateTime &time) {
    return time.isValid() ? QJsonValue(time.toUTC().toString(Qt::ISODate)) : QJsonValue();
}

static QJsonValue color(const QColor &color) {
    return color.isValid() ? QJsonValue(color.name()) : QJsonValue();
}

static QJsonArray fields(const QVector<Field> &fields) {
    QJsonArray all;
    for (const auto &field : fields)
        all.append(QJsonObject{{"key", field.key()}, {"label", field.label()}, {"value", QJsonValue::fromVariant(field.value())}, {"changeMessage", field.changeMessage()}});
    return all;
}

static const char *format(Barcode::Format format) {
    switch (format) {
    case Barcode::QR: return "PKBarcodeFormatQR";
    case Barcode::PDF417: return "PKBarcodeFormatPDF417";
    case Barcode::Aztec: return "PKBarcodeFormatAztec";
    case Barcode::Code128: return "PKBarcodeFormatCode128";
    default: return "unknown";
    }
}

// The pixels row by row, red, green and blue.
static QJsonValue image(const QImage &read) {
    if (read.isNull()) return QJsonValue();
    const QImage pixels = read.convertToFormat(QImage::Format_RGB888);
    QCryptographicHash digest(QCryptographicHash::Sha1);
    for (int y = 0; y < pixels.height(); ++y)
        digest.addData(reinterpret_cast<const char *>(pixels.constScanLine(y)), pixels.width() * 3);
    return QJsonObject{{"width", pixels.width()}, {"height", pixels.height()}, {"pixels", QString::fromLatin1(digest.result().toHex())}};
}

int main(int count, char **arguments) {
    QCoreApplication application(count, arguments);
    if (count != 2) return 2;
    Pass *pass = Pass::fromFile(QString::fromLocal8Bit(arguments[1]));
    if (!pass) {
        std::fprintf(stderr, "read_pass: %s is not read\n", arguments[1]);
        return 1;
    }
    static const char *const styles[] = {"boardingPass", "coupon", "eventTicket", "generic", "storeCard"};
    QJsonArray barcodes, locations;
    for (const auto &code : pass->barcodes())
        barcodes.append(QJsonObject{{"format", format(code.format())}, {"message", code.message()}, {"messageEncoding", code.messageEncoding()}, {"altText", code.alternativeText()}});
    for (const auto &place : pass->locations())
        locations.append(QJsonObject{{"latitude", place.latitude()}, {"longitude", place.longitude()}, {"relevantText", place.relevantText()}});
    QJsonObject images;
    for (const char *name : {"icon", "logo", "strip", "thumbnail", "background", "footer"}) {
        for (unsigned int scale : {1u, 2u, 3u}) {
            const auto read = image(pass->image(QString::fromLatin1(name), scale));
            if (!read.isNull()) images.insert(QString::fromLatin1("%1 for %2x").arg(QLatin1String(name)).arg(scale), read);
        }
    }
    const QJsonObject all{
        {"style", QString::fromLatin1(styles[pass->type()])}, {"description", pass->description()},
        {"organizationName", pass->organizationName()}, {"passTypeIdentifier", pass->passTypeIdentifier()},
        {"serialNumber", pass->serialNumber()}, {"expirationDate", moment(pass->expirationDate())}, {"voided", pass->isVoided()},
        {"relevantDate", moment(pass->relevantDate())}, {"maxDistance", pass->maximumDistance()}, {"logoText", pass->logoText()},
        {"groupingIdentifier", pass->groupingIdentifier()}, {"backgroundColor", color(pass->backgroundColor())},
        {"foregroundColor", color(pass->foregroundColor())}, {"labelColor", color(pass->labelColor())},
        {"authenticationToken", pass->authenticationToken()}, {"webServiceURL", pass->webServiceUrl().toString()},
        {"barcodes", barcodes}, {"locations", locations}, {"images", images},
        {"headerFields", fields(pass->headerFields())}, {"primaryFields", fields(pass->primaryFields())},
        {"secondaryFields", fields(pass->secondaryFields())}, {"auxiliaryFields", fields(pass->auxiliaryFields())},
        {"backFields", fields(pass->backFields())},
    };
    std::fwrite(QJsonDocument(all).toJson().constData(), 1, QJsonDocument(all).toJson().size(), stdout);
    return 0;
}
