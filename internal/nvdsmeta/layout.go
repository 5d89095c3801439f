// SPDX-License-Identifier: LGPL-2.1-or-later

// Package nvdsmeta reads the metadata that DeepStream's elements put on
// buffers, by its layout in memory: the SDK is neither linked nor needed to
// build. It holds the layouts of the releases 6.4 to 9.1, in one table, and
// turns frames into event.Frame.
//
// It is plain Go over foreign memory. A pointer that leads nowhere is therefore
// a panic that Guard turns into an error, where C code would take the process
// down; lists are bounded, and a list that bites its tail ends there.
//
// Interface mirrored: nvdsmeta.h, nvds_audio_meta.h, nvdsmeta_schema.h and
// gstnvdsmeta.h of DeepStream, 64-bit.
package nvdsmeta

import "fmt"

// Release is a release of DeepStream.
type Release struct{ Major, Minor int }

func (r Release) String() string { return fmt.Sprintf("%d.%d", r.Major, r.Minor) }

// Less reports whether r came before other.
func (r Release) Less(other Release) bool {
	return r.Major < other.Major || r.Major == other.Major && r.Minor < other.Minor
}

// First and Last are the ends of the range of releases that are known.
var First, Last = Release{6, 4}, Release{9, 1}

// Layout says where things are in the structures of some releases. Offsets and
// sizes are in bytes; what is the same in all of them is a constant below.
type Layout struct {
	Releases []Release

	// Sizes, as the pools of a batch tell them.
	frame, object, classifier, display uint32

	audioFrameType, customBlobType, sparse4DType int32 // NvDsMetaType; 0 for none
	productType                                  int32 // NVDS_OBJECT_TYPE_PRODUCT; _EXT is the next

	sensorInfo                              uintptr // NvDsFrameMeta.sensorInfo_meta; 0 for none
	objLabel, objClassifiers                uintptr // NvDsObjectMeta
	eventSize                               uintptr // NvDsEventMsgMeta
	otherAttrs, videoPath                   uintptr
	extMsg, extMsgSize                      uintptr
	pose, embedding                         uintptr
	has3D, worldFeet, imageFeet, visibility uintptr
	hull                                    uintptr

	solidSize, sceneCount uintptr // NvDsBbox3dObject, and NvDsBbox3dObjectList.num_objects behind 600 of them; 0 for none
}

var layouts = []*Layout{
	{
		Releases: []Release{{6, 4}, {7, 0}, {7, 1}},
		frame:    200, object: 544, classifier: 64, display: 6912,
		audioFrameType: 25, customBlobType: 28, productType: 9,
		objLabel: 336, objClassifiers: 464,
		eventSize: 264, otherAttrs: 152, videoPath: 160, extMsg: 168, extMsgSize: 176, pose: 184, embedding: 200,
		has3D: 216, worldFeet: 224, imageFeet: 232, visibility: 240, hull: 248,
	},
	{
		Releases: []Release{{8, 0}},
		frame:    232, object: 544, classifier: 64, display: 6912,
		audioFrameType: 26, customBlobType: 29, sparse4DType: 31, productType: 11,
		sensorInfo: 168, objLabel: 336, objClassifiers: 464,
		eventSize: 14032, otherAttrs: 13832, videoPath: 13840, extMsg: 13848, extMsgSize: 13856, pose: 13864, embedding: 13880,
		has3D: 13896, worldFeet: 13904, imageFeet: 13912, visibility: 13920, hull: 13928,
		solidSize: 88, sceneCount: 52800,
	},
	{
		Releases: []Release{{9, 0}},
		frame:    232, object: 552, classifier: 64, display: 7040,
		audioFrameType: 26, customBlobType: 29, sparse4DType: 31, productType: 11,
		sensorInfo: 168, objLabel: 344, objClassifiers: 472,
		eventSize: 14040, otherAttrs: 13832, videoPath: 13840, extMsg: 13848, extMsgSize: 13856, pose: 13864, embedding: 13880,
		has3D: 13896, worldFeet: 13904, imageFeet: 13912, visibility: 13920, hull: 13928,
		solidSize: 96, sceneCount: 57600,
	},
	{
		Releases: []Release{{9, 1}}, // the sizes of 9.0 with other insides
		frame:    232, object: 552, classifier: 64, display: 7040,
		audioFrameType: 26, customBlobType: 29, sparse4DType: 31, productType: 11,
		sensorInfo: 168, objLabel: 344, objClassifiers: 472,
		eventSize: 14040, otherAttrs: 13832, videoPath: 13840, extMsg: 13848, extMsgSize: 13856, pose: 13864, embedding: 13880,
		has3D: 13896, worldFeet: 13904, imageFeet: 13912, visibility: 14032, hull: 13920,
		solidSize: 96, sceneCount: 57600,
	},
}

// What is the same in every release.
const (
	// NvDsMetaType.
	typeFrame, typeObject, typeDisplay, typeClassifier, typeLabel, typeUser = 2, 3, 4, 5, 6, 7
	typePayload, typeEvent                                                  = 8, 9

	// NvDsBaseMeta.
	baseType, baseRelease = 8, 32

	// NvDsMetaPool.
	poolType, poolElementSize = 0, 8

	// NvDsBatchMeta.
	batchFramePool, batchObjectPool, batchClassifierPool = 48, 56, 64
	batchDisplayPool, batchUserPool                      = 72, 80
	batchFrames, batchUserMetas                          = 96, 104
	batchMutex, mutexSize                                = 112, 40 // a GRecMutex, whose first word leads to a pthread_mutex_t

	// NvDsFrameMeta.
	frameNum, framePTS, frameNTP, frameSource   = 48, 56, 64, 72
	frameSourceWidth, frameSourceHeight         = 80, 84
	frameObjects, frameUserMetas                = 104, 120
	framePipelineWidth, framePipelineHeight     = 160, 164
	sensorInfoID                                = 16 // of NvDsSensorInfo_meta
	audioClass, audioConfidence, audioLabel     = 100, 104, 108
	audioClassifiers, audioUserMetas, audioSize = 240, 248, 320

	// NvDsObjectMeta.
	objectComponent, objectClass, objectID, objectConfidence, objectRect = 48, 52, 56, 96, 104

	// NvDsClassifierMeta and NvDsLabelInfo.
	classifierLabels, classifierKind           = 48, 56
	labelText, labelLongText, labelProbability = 44, 176, 192
	labelSize                                  = 128 // MAX_LABEL_SIZE

	// NvDsUserMeta.
	userSize, userData = 48, 40

	// NvDsPayload and NvDsCustomMsgInfo.
	payloadData, payloadSize, payloadComponent = 0, 8, 12
	messageData, messageSize                   = 0, 8

	// NvDsEventMsgMeta.
	eventType, eventObjectType, eventBox, eventLocation, eventCoordinate  = 0, 4, 8, 24, 48
	eventSignature, eventClass, eventSensor, eventModule, eventPlace      = 72, 88, 92, 96, 100
	eventComponent, eventFrame, eventConfidence, eventTracking, eventTime = 104, 108, 112, 120, 128
	eventObjectID, eventSensorStr                                         = 136, 144
	signatureSize                                                         = 8
	jointsCount, jointsKind, jointSize, embeddingLength, hullCount        = 8, 12, 16, 8, 8
	vehicleType, vehicleMake, vehicleModel, vehicleColor                  = 0, 8, 16, 24
	vehicleRegion, vehicleLicense, vehicleMask                            = 32, 40, 48
	personGender, personHair, personCap, personApparel, personAge         = 0, 8, 16, 24, 32
	personMask                                                            = 40
	faceGender, faceHair, faceCap, faceGlasses, faceFacialHair            = 0, 8, 16, 24, 32
	faceName, faceEyeColor, faceAge, faceMask                             = 40, 48, 56, 64
	productBrand, productKind, productShape, productMask                  = 0, 8, 16, 24
	arrayLen                                                              = 8 // of GArray

	// NvDsBbox3dObject, and NvDsBbox3dObjectList from num_objects on.
	solidScore, solidLabel, solidClassScore, solidID, solidEmbedding = 48, 56, 72, 76, 80
	sceneTime, sceneFrame, sceneCamera, sceneSensorStr               = 8, 16, 20, 24
	sceneViews, sceneViewCount                                       = 32, 32 + maxViews*viewSize

	// SourceTimePair.
	maxViews, viewSize, viewStamp                                   = 100, 136, 128
	listNext                                                        = 8 // of GList
	rectTop, rectLeft, rectWidth, rectHeight, coordsLeft, coordsTop = 0, 4, 8, 12, 0, 4
)

// LayoutOf finds the layout of a release. The error names the release and what
// can be done.
func LayoutOf(r Release) (*Layout, error) {
	for _, l := range layouts {
		for _, have := range l.Releases {
			if have == r {
				return l, nil
			}
		}
	}
	if r.Less(First) {
		return nil, fmt.Errorf("this is DeepStream %v: its metadata is not read, the oldest release that is known is %v; update DeepStream", r, First)
	}
	return nil, fmt.Errorf("this is DeepStream %v: the layout of its metadata is not known (known: %v to %v); update gst-edgewire", r, First, Last)
}

// Plausible checks what is the same in every release: that a batch looks like
// one before its lock is taken.
func Plausible(batch uintptr) error {
	userPool, framePool := word(batch+batchUserPool), word(batch+batchFramePool)
	if framePool == 0 || userPool == 0 {
		return fmt.Errorf("its pools of frame and user metas are missing")
	}
	if kind, size := i32(userPool+poolType), u32(userPool+poolElementSize); kind != typeUser || size != userSize {
		return fmt.Errorf("its user metas are of type %d with %d bytes instead of %d with %d", kind, size, typeUser, userSize)
	}
	if mutex := word(batch + batchMutex); mutex != 0 { // made when it is first locked
		probe(mutex, mutexSize)
	}
	return nil
}

// Fits checks the sizes that the pools of a batch tell against the layout. The
// batch's pools say of which kind its frames are.
func (l *Layout) Fits(batch uintptr) error {
	if err := Plausible(batch); err != nil {
		return err
	}
	framePool := word(batch + batchFramePool)
	for _, p := range [...]struct {
		name string
		pool uintptr
		kind int32
		size uint32
	}{
		{"frame", framePool, typeFrame, l.frame},
		{"object", word(batch + batchObjectPool), typeObject, l.object},
		{"classifier", word(batch + batchClassifierPool), typeClassifier, l.classifier},
		{"display", word(batch + batchDisplayPool), typeDisplay, l.display},
	} {
		if p.pool == 0 {
			continue // audio has fewer
		}
		kind, size := i32(p.pool+poolType), u32(p.pool+poolElementSize)
		if p.pool == framePool && kind == l.audioFrameType {
			p.name, p.kind, p.size = "audio frame", l.audioFrameType, audioSize
		}
		if kind != p.kind {
			return fmt.Errorf("its pool of %s metas holds metas of type %d instead of %d", p.name, kind, p.kind)
		}
		if size != p.size {
			return fmt.Errorf("its %s metas have %d bytes instead of %d", p.name, size, p.size)
		}
	}
	return nil
}
