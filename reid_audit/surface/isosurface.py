"""Where an image has one value: a mesh in the image's own axes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mesh_level(
    field: NDArray[np.float32], level: float
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
    """Mesh the surface between what is above a level and what is not.

    Flying edges (Schroeder, Maynard and Geveci 2015): the cases of marching cubes, each edge of the lattice looked at
    once. The normals come from central differences of the image.

    Parameters
    ----------
    field : (i, j, k) float32
        At least two voxels along each axis; best with the first axis contiguous.
    level : float

    Returns
    -------
    vertices : (n, 3) float32
        In voxels, the first voxel's centre at the origin; each belongs to one edge of the lattice.
    faces : (m, 3) int32
        Seen from below the level, the corners of a triangle run counterclockwise where the axes are right-handed.
    normals : (n, 3) float32
        Unit vectors against the gradient in voxels: out of what is above the level.
    """
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

    image = vtkImageData()
    image.SetDimensions(*field.shape)
    image.GetPointData().SetScalars(numpy_to_vtk(field.ravel(order="F")))
    edges = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, level)
    edges.ComputeScalarsOff()
    edges.Update()
    mesh = edges.GetOutput()
    if not mesh.GetNumberOfCells():
        return np.empty((0, 3), np.float32), np.empty((0, 3), np.int32), np.empty((0, 3), np.float32)
    # Copies: the mesh, which owns the arrays, ends here.
    vertices = np.array(vtk_to_numpy(mesh.GetPoints().GetData()), dtype=np.float32)
    corners = vtk_to_numpy(mesh.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    normals = np.array(vtk_to_numpy(mesh.GetPointData().GetNormals()), dtype=np.float32)
    return vertices, corners.astype(np.int32), normals
